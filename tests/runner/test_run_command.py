"""`singerkit run`, as it is typed: several pipelines, what is told of them, exit codes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import closing
from typing import NamedTuple

import pytest
from plain_programs import TAP

from singerkit.runner.report.summary import summary
from singerkit.runner.store.open import open_store


class Done(NamedTuple):
    code: int
    said: str
    shown: str


class Shop:
    """A project with the pipelines a, b and c, each of which appends its records to a file of its name."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.folder
        self.extra = ""
        self.taps = dict.fromkeys("abc", TAP)

    def run(self, *words, **environment):
        lines = []
        for name, body in self.taps.items():
            tap, target = self.bench.program(f"tap_{name}", body), self.bench.program("target", TARGET)
            lines += [
                f"[taps.{name}]\ncommand = {json.dumps(tap.argv)}",
                f"[targets.{name}]\ncommand = {json.dumps([*target.argv[:-1], str(self.folder / name)])}",
                f"[pipelines.{name}]\ntap = '{name}'\ntarget = '{name}'",
            ]
        (self.folder / "singer.toml").write_text("\n".join([*lines, self.extra]))
        ended = subprocess.run(
            [sys.executable, "-m", "singerkit", *words],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(ended.returncode, ended.stderr, ended.stdout)

    def store(self):
        return open_store(f"sqlite:///{self.folder / '.singerkit' / 'state.db'}")

    def hold(self, key):
        store = self.store()
        store.acquire(key, "elsewhere:1:x", 600)
        store.close()

    @property
    def loaded(self):
        return {name for name in self.taps if (self.folder / name).exists()}


TARGET = """
for line in sys.stdin:
    message = json.loads(line)
    open(option("--out"), "a").write(line)
    if message["type"] == "STATE": write(message["value"])
"""


@pytest.fixture
def shop(bench):
    return Shop(bench)


def test_a_pipeline_that_is_held_keeps_no_other_from_running(shop):
    shop.hold("b")
    ended = shop.run("run", "a", "b", "c")
    assert (ended.code, shop.loaded) == (75, {"a", "c"}), ended.said
    assert "'b' is held by elsewhere:1:x" in ended.said


@pytest.mark.parametrize("held", ["a", "c"])
def test_a_failure_outweighs_a_pipeline_that_is_held(shop, held):
    shop.hold(held)
    shop.taps["b"] = "sys.exit(1)"
    ended = shop.run("run", "a", "b", "c")
    assert (ended.code, shop.loaded) == (1, {"a", "c"} - {held}), ended.said


def test_what_one_pipeline_lacks_keeps_no_other_from_running(shop):
    shop.extra = "[taps.b.config]\ntoken = '${NOWHERE}'"
    ended = shop.run("run", "a", "b", "c")
    assert (ended.code, shop.loaded) == (2, {"a", "c"}), ended.said
    assert "NOWHERE is not set" in ended.said


def test_a_name_that_is_no_pipeline_is_told_before_any_is_run(shop):
    ended = shop.run("run", "a", "bb")
    assert (ended.code, shop.loaded) == (2, set())
    assert "has no pipeline 'bb'" in ended.said


def test_a_pipeline_alone_that_is_held_is_said_once(shop):
    shop.hold("a")
    ended = shop.run("run", "a")
    assert (ended.code, ended.said.count("is held by")) == (75, 1)


@pytest.mark.parametrize("log", ["2>&-", "2>/dev/full", "2>&1 | true"])
def test_a_log_that_can_not_be_written_stops_no_run(shop, log):
    shop.taps = {"a": "for n in range(20000): print('x' * 50, file=sys.stderr)\n" + TAP}
    shop.run("plan", "a")  # writes the files
    command = f"set -o pipefail; {shlex.quote(sys.executable)} -m singerkit run a {log}"
    assert subprocess.run(["bash", "-c", command], cwd=shop.folder, timeout=60).returncode == 0
    assert shop.loaded == {"a"}


def test_commands_of_another_folder_have_a_state_of_their_own(bench, tmp_path):
    tap, target = bench.program("tap", TAP), bench.program("target", TARGET)
    commands = [shlex.join(tap.argv), shlex.join([*target.argv[:-1], "loaded"])]
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "states")}
        subprocess.run(
            [sys.executable, "-m", "singerkit", "run", *commands], cwd=folder, env=environment, check=True, timeout=60
        )
    store = open_store(f"sqlite:///{tmp_path / 'states' / 'singerkit' / 'state.db'}")
    assert len(store.keys()) == 2
    store.close()


def test_a_full_refresh_of_an_unknown_stream_is_noticed(shop):
    shop.run("run", "a")
    assert "no bookmark of a stream 'x'" in shop.run("run", "a", "--full-refresh", "x").said


TOLD = "[notify.log]\ncommand = ['sh', '-c', 'cat >> told.jsonl; echo >> told.jsonl']\n"


def told(shop):
    path = shop.folder / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_what_could_not_begin_is_kept_and_told_like_any_failure(shop):
    shop.extra = f"[taps.b.config]\ntoken = '${{NOWHERE}}'\n{TOLD}"
    assert shop.run("run", "b").code == 2
    assert [(event["event"], event["run"]["status"]) for event in told(shop)] == [("failure", "config")]
    assert "NOWHERE is not set" in told(shop)[0]["text"]
    with closing(shop.store()) as store:
        (run,) = store.runs("b")
    assert any("nothing was read, and the bookmarks stand" in line for line in summary(run))
    assert not any("Bookmarks:" in line for line in summary(run))
    assert shop.run("status", "b").code == 1
    assert shop.run("run", "b", NOWHERE="x").code == 0
    assert [event["event"] for event in told(shop)] == ["failure", "recovery"]
    assert shop.run("status", "b").code == 0


def test_what_is_only_looked_at_is_no_run(shop):
    shop.extra = f"[taps.b.config]\ntoken = '${{NOWHERE}}'\n{TOLD}"
    assert shop.run("run", "b", "--dry-run").code == 2
    assert shop.run("run", "a", "--backfill", "2025").code == 2
    with closing(shop.store()) as store:
        assert (told(shop), store.runs()) == ([], [])


@pytest.mark.parametrize(("options", "key"), [(["--executor", "local:2"], "a"), (["--shard", "0/2"], "a#share-0-of-2")])
def test_units_that_can_not_be_planned_are_told_of(shop, options, key):
    shop.taps = {"a": "print('no such host', file=sys.stderr); sys.exit(1)"}
    shop.extra = TOLD
    assert shop.run("run", "a", *options).code == 3
    assert [(event["run"]["state_key"], event["run"]["status"]) for event in told(shop)] == [(key, "tap_failed")]
    assert "no such host" in told(shop)[0]["text"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tap-x", "--config", "c.json", "target-y"], ["No such option '--config'", '"tap-x --config a.json"']),
        ([], ["Name a pipeline of singer.toml, or a tap and a target"]),
    ],
)
def test_what_beginners_type_is_answered_with_what_to_type(shop, words, said):
    done = shop.run("run", *words)
    assert done.code == 2
    assert all(word in done.said for word in said)
    assert "Traceback" not in done.said


def test_a_connector_behind_a_launcher_goes_by_its_own_name(shop):
    python = shlex.join([sys.executable, "-m", "singerkit"])
    done = shop.run("run", f"{python} tap-csv", f"{python} target-jsonl --config target.json", "--dry-run")
    assert done.code == 0, done.said
    assert "pipeline   tap-csv-to-target-jsonl-" in done.shown
