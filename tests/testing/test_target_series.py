"""Streams that are loaded over several runs: together while all goes well, each alone when it does not."""

from __future__ import annotations

import pytest

from singerkit_testing import target_series
from singerkit_testing.messages import ID, record, schema
from singerkit_testing.rules import NotApplicable
from singerkit_testing.target_lab import TargetLab
from singerkit_testing.target_series import register_series, series_of

CONFIG = {"folder": "{workdir}"}
TARGET = """
import json, pathlib, sys
folder = pathlib.Path(json.load(open(sys.argv[sys.argv.index("--config") + 1]))["folder"])
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        if message["record"].get("id") == "refused": sys.exit("refused " + message["stream"])
        with open(folder / (message["stream"] + ".jsonl"), "a") as file:
            file.write(json.dumps(message["record"]) + "\\n")
"""


def runs(stream, *parts):
    form = schema(stream, {"id": ID}, ["id"])
    return lambda: [[form, *(record(stream, id=value) for value in part)] for part in parts]


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(target_series, "_MAKERS", {})
    monkeypatch.setattr(target_series, "_WATCHED", set())
    register_series("long", runs("long", [1], [2], [3]), watched=True)
    register_series("short", runs("short", [1, 2], [3]))


@pytest.fixture
def lab(script):
    with TargetLab(script(TARGET), CONFIG, reader="{workdir}") as opened:
        yield opened


def ids(rows):
    return [row["id"] for row in rows]


def test_series_share_their_runs_and_end_in_the_last(known, lab):
    long, short = series_of(lab, "long"), series_of(lab, "short")

    assert long.loads[1:] == short.loads
    assert [ids(rows) for rows in long.rows_after] == [[1], [1, 2], [1, 2, 3]]
    assert short.rows_after == ()
    assert ids(short.place.rows("short")) == [1, 2, 3]
    assert len(short.sent) == 5


def test_only_the_one_that_is_refused_has_failed(known, lab):
    register_series("bad", runs("bad", [1], ["refused"], [3]), watched=True)

    bad, long = series_of(lab, "bad"), series_of(lab, "long")

    assert (bad.ok, len(bad.loads), [ids(rows) for rows in bad.rows_after]) == (False, 2, [[1]])
    assert "refused bad" in bad.failure
    assert long.ok
    assert ids(long.place.rows("long")) == [1, 2, 3]
    assert long.place is not bad.place


def test_series_say_nothing_about_a_target_that_loads_nothing(known, script):
    never = script("import sys; sys.exit('never')")
    with TargetLab(never, CONFIG, reader="{workdir}") as lab, pytest.raises(NotApplicable):
        series_of(lab, "long")
