"""What is known of a run whose runner is gone, or whose clock jumped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from singerkit.clock import utc_text
from singerkit.runner.report.freshness import expectation_of, standings
from singerkit.runner.running import as_known
from singerkit.runner.store.base import RunRecord

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(days=3)
YEAR = timedelta(days=365)


def run(**said):
    return RunRecord(id="r", pipeline="p", state_key="p", started=BEGAN, **said)


@pytest.mark.parametrize(
    ("seen", "status", "ended"),
    [
        (NOW - timedelta(seconds=170), "running", None),
        (NOW + timedelta(minutes=30), "running", None),  # another machine's clock
        (NOW - timedelta(seconds=190), "crashed", NOW - timedelta(seconds=190)),
        (NOW + YEAR, "crashed", BEGAN),
    ],
)
def test_a_run_that_says_nothing_is_gone_whatever_its_clock_said(seen, status, ended):
    known = as_known(run(facts={"seen": utc_text(seen), "lease_s": 60}), NOW)
    assert (known.status, known.ended) == (status, ended)


@pytest.mark.parametrize(
    ("ended", "known"),
    [(BEGAN + timedelta(hours=1), BEGAN + timedelta(hours=1)), (NOW + timedelta(minutes=30),) * 2, (NOW + YEAR, BEGAN)],
)
def test_a_run_did_not_end_later_than_now(ended, known):
    ran = run(status="success", exit_code=0, ended=ended)
    assert as_known(ran, NOW) == replace(ran, ended=known)


@pytest.mark.parametrize(("ended", "is_stale"), [(NOW, False), (BEGAN, True), (NOW + YEAR, True)])
def test_a_clock_that_jumped_hides_no_stale_pipeline(bench, ended, is_stale):
    bench.store.log(run(status="success", exit_code=0, ended=ended))
    expected = expectation_of("p", "p", None, 86_400, NOW)
    (standing,) = standings(bench.store, [expected], NOW)
    assert (standing.is_stale, standing.is_healthy) == (is_stale, not is_stale)
