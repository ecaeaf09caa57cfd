"""Pipelines whose target keeps the state with the rows: each record exactly once, whoever is killed, whenever."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from killing import kill_somebody, processes_with
from plain_programs import HEAD

from singerkit.runner.store.open import open_store

ROWS = 300
#: How many kills of each database.
KILLS = int(os.environ.get("SINGERKIT_RUNNER_KILLS", "6"))
POSTGRES = os.environ.get("SINGERKIT_TEST_POSTGRES_URL") or "postgresql://postgres@127.0.0.1:5432/test"
#: Records without keys: each that comes twice is there twice. STATE after seven, at the end, and none in between.
TAP = """
begin = ((given("--state") or {}).get("bookmarks", {}).get("s") or {}).get("n", 0)
config = given("--config") or {}
write({"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {"type": "integer"}}}, "key_properties": []})
for n in range(begin + 1, config["rows"] + 1):
    write({"type": "RECORD", "stream": "s", "record": {"id": n}})
    if n == config.get("breaks_at") and not os.path.exists(config.get("breaks_once", "")):
        open(config.get("breaks_once", os.devnull), "w").close()
        sys.exit(1)
    if n % 7 == 0 or n == config["rows"]:
        write({"type": "STATE", "value": {"bookmarks": {"s": {"n": n}}}})
        time.sleep(config.get("pause_s", 0))
"""


class Place:
    """A project with one pipeline, `p`, and what its target has."""

    def __init__(self, folder, *, target="sqlite", **tap_config):
        self.folder = folder
        self.target = target
        self.schema = f"kept_{uuid.uuid4().hex[:12]}"
        (folder / "tap.py").write_text(HEAD + TAP)
        self.configs = {
            "sqlite": {"path_to_database": str(folder / "out.db")},
            "postgres": {"sqlalchemy_url": POSTGRES, "default_target_schema": self.schema},
        }
        self.target_command = f"target-{target}"
        self.pipeline = {"state_in": "target"}
        self.tap_config = {"rows": 20, **tap_config}
        self.target_config = {"batch_size_rows": 20, **self.configs[target]}

    def write(self):
        def table(name, values):
            return [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]

        lines = [
            *table("taps.t", {"command": [sys.executable, "-S", "-E", str(self.folder / "tap.py")]}),
            *table("taps.t.config", self.tap_config),
            *table(f"targets.target-{self.target}", {"command": self.target_command}),
            *table(f"targets.target-{self.target}.config", self.target_config),
            *table("pipelines.p", {"tap": "t", "target": f"target-{self.target}", **self.pipeline}),
        ]
        (self.folder / "singer.toml").write_text("\n".join(lines))

    def start(self, *words):
        self.write()
        return subprocess.Popen(
            [sys.executable, "-m", "singerkit", *words],
            cwd=self.folder,
            env={**os.environ, "SINGERKIT_LEASE_SECONDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words):
        process = self.start("run", "p", *words)
        said = process.communicate(timeout=120)[1]
        return process.returncode, said

    def open_store(self):
        return open_store(f"sqlite:///{self.folder / '.singerkit' / 'state.db'}")

    @property
    def state(self):
        with closing(self.open_store()) as store:
            stored = store.get("p")
        return stored and stored.state

    @property
    def ids(self):
        if self.target == "sqlite":
            with closing(sqlite3.connect(self.folder / "out.db")) as database, suppress(sqlite3.OperationalError):
                return sorted(n for (n,) in database.execute("SELECT id FROM s"))
            return []
        with psycopg.connect(POSTGRES) as connection, suppress(psycopg.errors.UndefinedTable):
            return sorted(n for (n,) in connection.execute(f'SELECT id FROM {self.schema}."s"'))
        return []


def upto(count):
    return list(range(1, count + 1))


def state(n):
    return {"bookmarks": {"s": {"n": n}}}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_run_begins_where_the_target_says_and_mirrors_it(place):
    place.tap_config["breaks_at"] = 10
    code, said = place.run()
    assert (code, place.ids, place.state) == (1, upto(7), state(7)), said
    assert "FAILED: the tap" in said  # though the target fails as well, since no state covers its last rows
    del place.tap_config["breaks_at"]
    assert place.run()[0] == 0
    place.tap_config["rows"] = 25
    assert place.run()[0] == 0
    assert (place.ids, place.state) == (upto(25), state(25))


def test_another_try_begins_where_the_target_has_come_to(place):
    place.tap_config |= {"breaks_at": 10, "breaks_once": str(place.folder / "broken")}
    place.pipeline |= {"retries": 1, "retry_wait": 0}
    code, said = place.run()
    assert (code, place.ids, place.state) == (0, upto(20), state(20)), said


def test_what_the_store_says_does_not_count(place):
    assert place.run()[0] == 0
    (place.folder / "s.json").write_text(json.dumps(state(3)))
    process = place.start("state", "set", "p", "s.json")
    assert "keeps its state in its target" in process.communicate(timeout=60)[1]
    assert place.state == state(3)
    place.tap_config["rows"] = 22
    assert place.run()[0] == 0
    assert (place.ids, place.state) == (upto(22), state(22))


def test_a_pipeline_that_kept_its_state_in_the_store_goes_on_from_there(place):
    place.pipeline = {}
    assert place.run()[0] == 0
    place.pipeline = {"state_in": "target"}
    place.tap_config["rows"] = 30
    assert place.run()[0] == 0
    assert (place.ids, place.state) == (upto(30), state(30))


def test_a_target_that_has_lost_its_state_is_an_error_until_somebody_decides(place):
    assert place.run()[0] == 0
    (place.folder / "out.db").unlink()
    place.tap_config["rows"] = 22
    code, said = place.run()
    assert code == 2
    assert "singerkit state clear p" in said
    assert "singerkit state restore p 1" in said
    place.start("state", "clear", "p").communicate(timeout=60)
    assert place.run()[0] == 0
    assert place.ids == upto(22)


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_state_whose_run_is_forgotten_may_be_a_mirror_so_somebody_decides(place, mirrored):
    place.pipeline = {"state_in": "target"} if mirrored else {}
    assert place.run()[0] == 0
    assert place.run()[0] == 0  # brings nothing new, so the state is still the first run's
    (place.folder / "out.db").unlink()
    with closing(place.open_store()) as store:
        writer = store.get("p").run
        assert store.prune_runs("p", 1) == 1
        assert store.run(writer) is None
    place.pipeline = {"state_in": "target"}
    place.tap_config["rows"] = 22
    code, said = place.run()
    assert code == 2
    assert f"the run that stored revision 1 ({writer}) is forgotten" in said
    assert "singerkit state clear p" in said
    assert place.ids == []
    place.start("state", "restore", "p", "1").communicate(timeout=60)
    assert place.run()[0] == 0
    assert (place.ids, place.state) == ([21, 22], state(22))


def test_a_lost_state_can_be_restored_to_go_on_from(place):
    assert place.run()[0] == 0
    (place.folder / "out.db").unlink()
    place.start("state", "restore", "p", "1").communicate(timeout=60)
    place.tap_config["rows"] = 22
    code, said = place.run()
    assert (code, place.ids, place.state) == (0, [21, 22], state(22)), said


def test_a_full_refresh_and_a_backfill_keep_their_states_apart(place):
    assert place.run()[0] == 0
    assert place.run("--backfill", "1..2")[0] == 0
    assert place.ids == sorted(upto(20) * 2)
    assert place.run("--full-refresh", "s")[0] == 0
    assert place.ids == sorted(upto(20) * 3)
    assert place.run()[0] == 0
    assert place.ids == sorted(upto(20) * 3)


def test_a_target_that_keeps_no_states_is_refused(place):
    (place.folder / "mute.py").write_text(
        "import sys\nsys.exit('no such option' if '--print-state' in sys.argv else 0)"
    )
    place.target_command = [sys.executable, str(place.folder / "mute.py")]
    code, said = place.run()
    assert code == 1
    assert "could not say the state it keeps" in said


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"state_key": "other"}, "leave it out"),
        ({"load_method": "overwrite"}, "no use for a state"),
    ],
)
def test_settings_that_do_not_fit_are_refused(place, changed, why):
    place.target_config |= changed
    code, said = place.run()
    assert code == 2
    assert why in said


def test_units_are_refused(place):
    code, said = place.run("--executor", "local:2")
    assert code == 2
    assert "state_in" in said


@pytest.mark.kill
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes below /proc")
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_each_record_is_there_exactly_once_whoever_is_killed(tmp_path, target):
    place = Place(tmp_path, target=target, rows=ROWS, pause_s=0.01)
    if target == "postgres":
        with psycopg.connect(POSTGRES) as connection:
            connection.execute(f"CREATE SCHEMA {place.schema}")
    began = time.monotonic()
    code, said = place.run()
    assert code == 0, said
    length_s = 1.25 * (time.monotonic() - began)
    place.tap_config["rows"] += ROWS
    seed = random.Random(23)
    kills = 0
    while True:
        process = place.start("run", "p", "--wait", "60")
        hit = kills < KILLS and kill_somebody(process, seed, length_s)
        kills += hit
        said = process.communicate(timeout=120)[1]
        until = time.monotonic() + 30
        while (left := processes_with(str(tmp_path))) and time.monotonic() < until:
            time.sleep(0.1)
        assert not left
        assert place.ids == upto(len(place.ids))  # no gap, and nothing twice
        if process.returncode == 0:
            assert len(place.ids) == place.tap_config["rows"]
            if kills >= KILLS:
                break
            place.tap_config["rows"] += ROWS
        assert process.returncode == 0 or hit, said
    assert place.state == state(place.tap_config["rows"])
    if target == "postgres":
        with psycopg.connect(POSTGRES) as connection:
            connection.execute(f"DROP SCHEMA {place.schema} CASCADE")
