"""What people and monitors see of runs: lists, one run, how pipelines stand, the page, metrics."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from singerkit.runner.store.base import RunRecord
from singerkit.runner.store.open import open_store

VOID = {"meta", "rect", "circle", "line", "path", "polyline", "p", "td", "th", "tr"}


class Place:
    """A project with runs."""

    def __init__(self, folder, project):
        self.folder = folder
        (folder / "singer.toml").write_text(project)
        self.store = open_store(f"sqlite:///{folder / '.singerkit' / 'state.db'}")

    def ran(self, pipeline, age_h, status="success", **said):
        started = datetime.now(tz=UTC) - timedelta(hours=age_h)
        record = RunRecord(
            id=f"{pipeline}-{age_h}",
            pipeline=pipeline,
            started=started,
            ended=started + timedelta(seconds=90),
            status=status,
            exit_code=0 if status == "success" else 1,
            **{"state_key": pipeline, "streams": {"orders": {"records": 1500, "bytes": 9000}}, **said},
        )
        self.store.log(record)

    def bookmark(self, key, age_h):
        value = (datetime.now(tz=UTC) - timedelta(hours=age_h)).isoformat()
        state = {"bookmarks": {"orders": {"replication_key": "at", "replication_key_value": value}}}
        lease = self.store.acquire(key, "test", 60)
        self.store.put(key, state, expected=None, lease=lease, run="x")
        self.store.release(lease)

    def call(self, *words):
        command = [sys.executable, "-m", "singerkit", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)


PROJECT = """
[taps.tap-csv]
[targets.target-jsonl]
[pipelines.hourly]
tap = "tap-csv"
target = "target-jsonl"
schedule = "0 * * * *"
[pipelines.daily]
tap = "tap-csv"
target = "target-jsonl"
stale_after = "26h"
"""


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path, PROJECT)
    yield place
    place.store.close()


def facts(place, *words):
    answer = place.call("status", "--json", *words)
    return answer.returncode, {fact["pipeline"]: fact for fact in json.loads(answer.stdout)}


def test_what_is_fresh_and_succeeded_is_well(place):
    place.ran("hourly", 0.5)
    place.ran("daily", 25)
    place.bookmark("daily", 30)
    code, found = facts(place)
    assert code == 0
    assert not any(fact["stale"] for fact in found.values())
    assert found["daily"]["bookmark_lag_s"]["orders"] == pytest.approx(30 * 3600, abs=120)
    assert found["daily"]["records"] == 1500


@pytest.mark.parametrize(("pipeline", "age_h"), [("hourly", 1.5), ("daily", 27)])
def test_a_success_that_is_too_old_is_stale(place, pipeline, age_h):
    for name in ("hourly", "daily"):
        place.ran(name, age_h if name == pipeline else 0.5)
    code, found = facts(place)
    assert code == 1
    assert [name for name, fact in found.items() if fact["stale"]] == [pipeline]
    assert "STALE" in place.call("status").stdout


def test_a_failed_last_run_is_not_well_and_others_do_not_hide_it(place):
    for pipeline in ("hourly", "daily"):
        place.ran(pipeline, 0.5)
    place.ran("daily", 0.2, "tap_failed")
    place.ran("daily", 0.1, "tap_failed")
    code, found = facts(place)
    assert (code, found["daily"]["failures_since"], found["daily"]["stale"]) == (1, 2, False)
    assert facts(place, "hourly")[0] == 0


def test_a_pipeline_that_never_ran_is_stale(place):
    code, found = facts(place)
    assert (code, found["hourly"]["stale"]) == (1, True)


def test_a_schedule_that_is_none_is_refused(tmp_path):
    place = Place(tmp_path, PROJECT.replace("0 * * * *", "often"))
    answer = place.call("status")
    assert answer.returncode == 2
    assert "'often' is no schedule" in answer.stderr
    place.store.close()


def test_runs_are_listed_newest_first(place):
    place.ran("daily", 3)
    place.ran("hourly", 2, "target_failed")
    place.ran("daily", 1)
    lines = place.call("runs").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["daily-1", "hourly-2", "daily-3"]
    assert [run["id"] for run in json.loads(place.call("runs", "daily", "--json").stdout)] == ["daily-1", "daily-3"]


def test_a_run_is_shown_on_one_screen(place):
    log = {"tap": ["connecting"], "target": [f"line {n}" for n in range(20)]}
    place.ran(
        "daily", 1, "target_failed",
        failure="target ended with exit code 1.", last_lines=log, facts={"culprit": "target", "codes": {"target": 1}},
    )  # fmt: skip
    shown = place.call("show", "daily-1").stdout
    assert "FAILED: the target" in shown
    assert "target | line 19" in shown
    assert "connecting" not in shown
    assert "safe to run again" in shown
    assert len(shown.splitlines()) < 40
    assert place.call("show", "latest").stdout == shown
    assert "did you mean 'daily-1'" in place.call("show", "daily-2").stderr


class Checker(HTMLParser):
    """Sees that what is opened is closed, and that nothing is loaded."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.ids = set()
        self.text = ""

    def handle_starttag(self, tag, attributes):
        assert tag != "script"
        assert not {"src", "onclick"} & dict(attributes).keys()
        self.ids.add(dict(attributes).get("id"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_self_contained_and_shows_what_failed(place):
    place.ran("hourly", 0.5)
    place.ran("<b>odd & 'quoted'", 2)
    for age in range(30, 2, -3):
        place.ran(
            "daily", age, "success" if age % 2 else "tap_failed", failure="it <broke>", last_lines={"tap": ["<x>"]}
        )
    page = place.folder / "status.html"
    answer = place.call("status", "--html", str(page), "hourly", "<b>odd & 'quoted'", "daily")
    assert answer.stdout == ""
    checker = Checker()
    checker.feed(page.read_text())
    assert checker.open == []
    assert {"hourly", "daily", "<b>odd & 'quoted'"} <= checker.ids
    assert "tap_failed: it <broke>" in checker.text
    assert "http" not in page.read_text().replace("http-equiv", "")


def test_metrics_are_in_prometheus_format(place):
    place.ran("daily", 1)
    place.bookmark("daily", 2)
    path = place.folder / "singerkit.prom"
    place.call("status", "--prometheus", str(path))
    text = path.read_text()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+\{\w+="[^"]*"(,\w+="[^"]*")*\} [-+.0-9e]+', line), line
    assert 'singerkit_pipeline_last_success_records{pipeline="daily",stream="orders"} 1500' in text
    assert 'singerkit_bookmark_lag_seconds{pipeline="daily",stream="orders"} 72' in text


def test_a_state_that_is_damaged_is_told_and_hides_no_other_pipeline(place, tmp_path):
    for pipeline in ("hourly", "daily"):
        place.ran(pipeline, 0.1)
        place.bookmark(pipeline, 1)
    with closing(sqlite3.connect(tmp_path / ".singerkit" / "state.db")) as database:
        database.execute("UPDATE states SET state = '{}' WHERE key = 'hourly'")
        database.commit()
    ended = place.call("status")
    assert ended.returncode == 1, ended.stderr
    damaged, other = ended.stdout.splitlines()[1], next(line for line in ended.stdout.splitlines() if "daily" in line)
    assert "DAMAGED" in damaged
    assert "DAMAGED" not in other


@pytest.mark.parametrize("command", ["status", "runs"])
def test_a_name_that_is_no_pipeline_is_an_error(place, command):
    place.ran("hourly", 0.1)
    ended = place.call(command, "hourli")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there is no pipeline 'hourli'; did you mean 'hourly'?" in ended.stderr


def test_what_was_only_tried_beside_a_project_does_not_make_it_unwell(place):
    place.ran("hourly", 0.1)
    place.ran("daily", 0.1)
    place.ran("tap-x-to-target-y-1", 0.1, "tap_failed")
    code, found = facts(place)
    assert (code, list(found)) == (0, ["hourly", "daily"])
    code, found = facts(place, "tap-x-to-target-y-1")
    assert (code, list(found)) == (1, ["tap-x-to-target-y-1"])
    (place.folder / "singer.toml").unlink()
    code, found = facts(place, "--state-url", f"sqlite:///{place.folder / '.singerkit' / 'state.db'}")
    assert (code, "tap-x-to-target-y-1" in found) == (1, True)


def test_runs_of_another_environment_and_backfills_say_nothing_of_a_pipeline(place):
    for pipeline in ("hourly", "daily"):
        place.ran(pipeline, 0.5)
    place.ran("daily", 0.3, "tap_failed", state_key="prod:daily")
    place.ran("daily", 0.2, "tap_failed", state_key="daily:backfill:2025..2026")
    assert facts(place)[0] == 0
    (place.folder / "singer.toml").write_text(PROJECT + "[env.prod]\n")
    code, found = facts(place, "--env", "prod", "daily")
    assert (code, found["daily"]["last_success"], found["daily"]["failures_since"]) == (1, None, 1)


def test_a_success_of_a_clock_that_was_ahead_hides_no_failure(place):
    place.ran("hourly", 0.1)
    place.ran("daily", -9000)
    place.ran("daily", 30)
    place.ran("daily", 0.1, "tap_failed")
    code, found = facts(place)
    assert (code, found["daily"]["status"], found["daily"]["stale"]) == (1, "tap_failed", True)
    for number in range(1, 200):  # so many that it is asked for by itself
        place.ran("daily", 0.1 + number / 1000, "tap_failed")
    assert facts(place)[1]["daily"]["stale"] is True


def test_refused_records_are_shown_wherever_one_looks(place):
    place.ran("hourly", 0.1)
    place.ran("daily", 0.1, facts={"refused": {"orders": 7}})
    assert facts(place)[1]["daily"]["refused"] == 7
    assert "7 refused by the target" in place.call("status").stdout
    assert "Of these the target refused, and left out: 7" in place.call("show", "daily-0.1").stdout
    page, metrics = place.folder / "status.html", place.folder / "x.prom"
    place.call("status", "--html", str(page), "--prometheus", str(metrics))
    assert "7 records refused" in page.read_text()
    assert 'refused_records{pipeline="daily",stream="orders"} 7' in metrics.read_text()


def test_a_pipeline_that_runs_in_shares_stands_as_all_of_them_do(place):
    place.ran("hourly", 0.1)
    place.ran("daily", 40)
    for share, age_h in enumerate((3, 2)):
        place.ran("daily", age_h, state_key=f"daily#share-{share}-of-2")
    code, found = facts(place)
    assert (code, found["daily"]["records"]) == (0, 3000)
    assert found["daily"]["age_s"] == pytest.approx(3 * 3600, abs=120)
    place.ran("daily", 1, "tap_failed", state_key="daily#share-0-of-2")
    place.ran("daily", 0.5, state_key="daily#share-1-of-2")
    code, found = facts(place)
    assert (code, found["daily"]["status"], found["daily"]["failures_since"]) == (1, "tap_failed", 1)


def test_a_share_that_never_ran_is_no_success_of_the_whole(place):
    place.ran("hourly", 0.1)
    place.ran("daily", 1, state_key="daily#share-0-of-2")
    code, found = facts(place)
    assert (code, found["daily"]["stale"], found["daily"]["last_success"]) == (1, True, None)
