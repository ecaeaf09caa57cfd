"""Pipelines as units: planned, run on threads, in shares, on a cluster whose workers are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from singerkit.clock import utc_now
from singerkit.runner.executors import Workers
from singerkit.runner.keeper import Keeper
from singerkit.runner.prepare import prepare
from singerkit.runner.project import load_project
from singerkit.runner.running import seen
from singerkit.runner.scale_out import ScaleOut
from singerkit.runner.store.base import LockedError, RunRecord, StoreAwayError
from singerkit.runner.store.open import open_store
from singerkit.runner.unit_runs import Where
from singerkit.runner.units import Unit, plan_units, unit_job

CONNECTORS = Path(__file__).parents[1] / "connectors_for_tests"
TAP = CONNECTORS / "tap_shares.py"
#: Writes down where two load one part at once.
WITNESS = json.dumps([sys.executable, str(CONNECTORS / "target_witness.py")])
PROJECT = """
[taps.tap-shares]
command = ["{python}", "{tap}"]
config = {{ parts = {parts}, rows = {rows}, pause_s = {pause_s} }}
[targets.target-sqlite]
command = {target}
max_units = {writers}
config = {{ path_to_database = "{folder}/out.db", batch_size_rows = 5 }}
[pipelines.p]
tap = "tap-shares"
target = "target-sqlite"
after = ["echo whole >> {folder}/after"]
"""


class Place:
    """A project and what it has loaded."""

    def __init__(self, folder, *, parts=2, rows=20, pause_s=0.0, writers=4, target='"target-sqlite"'):
        self.folder = folder
        self.rows_expected = {(part, n) for part in range(parts) for n in range(1, rows + 1)}
        said = {"parts": parts, "rows": rows, "pause_s": pause_s, "writers": writers, "target": target}
        (folder / "singer.toml").write_text(PROJECT.format(python=sys.executable, tap=TAP, folder=folder, **said))
        self.environment = {**os.environ, "SINGERKIT_LEASE_SECONDS": "3"}

    def command(self, *words):
        return [sys.executable, "-m", "singerkit", *words]

    def call(self, *words):
        command = self.command(*words)
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=self.environment)

    def drive(self, address):
        """Start a driver that waits for the lease of one that was killed."""
        command = self.command("run", "p", "--executor", address, "--wait", "120")
        with (self.folder / "driver.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)

    def loaded_so_far(self):
        """Give what is loaded, also while there is no table yet."""
        try:
            return self.loaded()
        except sqlite3.Error:
            return []

    def loaded(self, table="parts"):
        with closing(sqlite3.connect(self.folder / "out.db", timeout=30)) as database:
            return [tuple(row) for row in database.execute(f"SELECT part, n FROM {table}")]

    def states(self):
        store = open_store(f"sqlite:///{self.folder / '.singerkit' / 'state.db'}")
        try:
            return {key: store.get(key).state for key in list(store.keys())}
        finally:
            store.close()

    def runs(self):
        return json.loads(self.call("runs", "--json", "--limit", "1000").stdout)

    def is_complete(self):
        assert sorted(self.loaded()) == sorted(self.rows_expected)
        state = self.states()
        assert list(state) == ["p"]
        partitions = state["p"]["bookmarks"]["parts"]["partitions"]
        last = max(n for _, n in self.rows_expected)
        assert {part["context"]["part"]: part["replication_key_value"] for part in partitions} == {
            part: last for part, _ in self.rows_expected
        }


def test_units_are_small_json_and_the_same_every_time(tmp_path):
    place = Place(tmp_path)
    lines = place.call("plan", "p").stdout.splitlines()
    units = [json.loads(line) for line in lines]
    assert [(unit["stream"], unit.get("context")) for unit in units] == [
        ("parts", {"part": 0}),
        ("parts", {"part": 1}),
        ("plain", None),
    ]
    assert len({unit["unit"] for unit in units}) == 3
    assert place.call("plan", "p").stdout.splitlines() == lines


def test_a_pipeline_that_selects_nothing_has_no_units(tmp_path):
    place = Place(tmp_path)
    project = tmp_path / "singer.toml"
    project.write_text(project.read_text().replace("[targets", 'select = ["!parts.*", "!plain.*"]\n[targets', 1))
    planned = place.call("plan", "p")
    assert (planned.returncode, planned.stdout) == (0, ""), planned.stderr
    ran = place.call("run", "p", "--executor", "local:2")
    assert ran.returncode == 0, ran.stderr


def test_units_on_threads_are_gathered_into_one_state(tmp_path):
    place = Place(tmp_path)
    ended = place.call("run", "p", "--executor", "local:4")
    assert ended.returncode == 0, ended.stderr
    place.is_complete()
    assert len(place.loaded("plain")) == 20
    assert (tmp_path / "after").read_text() == "whole\n"
    whole = next(run for run in place.runs() if run["pipeline"] == "p")
    assert whole["streams"]["parts"]["records"] == 40
    assert place.call("status").stdout.count("\n") == 2  # a head, and the pipeline without its units
    again = place.call("run", "p")  # as a whole, from the units' bookmarks
    assert again.returncode == 0, again.stderr
    assert len(place.loaded()) == 40


def test_a_unit_that_fails_leaves_the_others_work(tmp_path):
    place = Place(tmp_path)
    text = (tmp_path / "singer.toml").read_text()
    unit = next(line for line in place.call("plan", "p").stdout.splitlines() if "plain" in line)
    (tmp_path / "singer.toml").write_text(text.replace(f'"{TAP}"', f'"{tmp_path}/breaking.py"'))
    (tmp_path / "breaking.py").write_text(
        f'import runpy, sys\nif \'{{"stream": "plain"}}\' in sys.argv: sys.exit(1)\n'
        f"sys.path.insert(0, {str(TAP.parent)!r})\nrunpy.run_path({str(TAP)!r}, run_name='__main__')\n"
    )
    ended = place.call("run", "p", "--executor", "local:2")
    assert ended.returncode == 1
    assert "1 of 3 units failed" in ended.stderr
    place.is_complete()
    assert not (tmp_path / "after").exists()
    (tmp_path / "singer.toml").write_text(text)
    assert place.call("run", "p", "--unit", unit).returncode == 0
    assert len(place.loaded("plain")) == 20


def test_shares_together_are_the_whole(tmp_path):
    place = Place(tmp_path, parts=3)
    for index in range(2):
        ended = place.call("run", "p", "--shard", f"{index}/2")
        assert ended.returncode == 0, ended.stderr
    place.is_complete()
    assert len(place.loaded("plain")) == 20
    assert "counted from 0" in place.call("run", "p", "--shard", "2/2").stderr


def ended_units(store):
    return [run for run in store.runs() if "unit" in run.facts and run.status == "success"]


def test_a_share_that_waits_to_gather_keeps_its_own_lease_and_can_be_stopped(tmp_path):
    place = Place(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / '.singerkit' / 'state.db'}")
    whole = store.acquire("p", "another share", 600)
    with (tmp_path / "driver.log").open("wb") as log:
        share = subprocess.Popen(
            place.command("run", "p", "--shard", "0/1"),
            cwd=tmp_path,
            env={**place.environment, "SINGERKIT_LEASE_SECONDS": "1"},
            stderr=log,
        )
    until = time.monotonic() + 60
    while len(ended_units(store)) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2.5)
    with pytest.raises(LockedError):
        store.acquire("p#share-0-of-1", "another", 1)
    (run,) = [run for run in store.runs("p") if run.state_key == "p#share-0-of-1"]
    assert (utc_now() - seen(run)).total_seconds() < 1
    share.send_signal(signal.SIGTERM)
    assert share.wait(20) == 128 + signal.SIGTERM, (tmp_path / "driver.log").read_text()
    assert store.get("p") is None
    store.release(whole)
    store.close()
    assert place.call("run", "p", "--shard", "0/1").returncode == 0
    place.is_complete()


def test_the_lease_is_kept_while_units_are_gathered(bench, monkeypatch):
    monkeypatch.setenv("SINGERKIT_LEASE_SECONDS", "1")
    job = bench.job()
    units = [Unit("p", f"s{number}", (f"s{number}",)) for number in range(8)]
    for number, unit in enumerate(units):
        with closing(Keeper(bench.store, unit_job(job, unit), run="r1", listener=bench.shown)) as keeper:
            keeper.acknowledge({"bookmarks": {unit.stream: {"n": number}}})
            keeper.persist()
    real = bench.store.delete
    taken = []

    def slow(key, **said):
        time.sleep(0.3)
        with suppress(LockedError):
            taken.append(bench.store.acquire("p", "another", 60))
        real(key, **said)

    monkeypatch.setattr(bench.store, "delete", slow)
    with closing(Keeper(bench.store, job, run="r2", listener=bench.shown)) as keeper:
        keeper.gather(units)
    assert taken == []
    assert bench.state == {"bookmarks": {f"s{number}": {"n": number} for number in range(8)}}
    assert bench.store.keys() == ["p"]


@pytest.mark.parametrize("is_given_back", [True, False])
def test_a_unit_that_somebody_else_runs_is_waited_for_when_units_are_gathered(bench, monkeypatch, is_given_back):
    monkeypatch.setattr("singerkit.runner.keeper._UNITS_WAIT_S", 20 if is_given_back else 0.1)
    job, unit = bench.job(), Unit("p", "s", ("s",))
    of_unit = Keeper(bench.store, unit_job(job, unit), run="r1", listener=bench.shown)
    of_unit.acknowledge({"bookmarks": {"s": {"n": 1}}})
    of_unit.persist()
    looks = []

    def tick():
        looks.append(unit)
        if is_given_back and len(looks) == 3:
            of_unit.close()

    with closing(Keeper(bench.store, job, run="r2", listener=bench.shown)) as keeper:
        keeper.gather([unit], tick)
    if is_given_back:
        assert (bench.state, bench.store.keys()) == ({"bookmarks": {"s": {"n": 1}}}, ["p"])
    else:
        of_unit.close()
        assert (bench.state, len(bench.store.keys())) == (None, 1)
        assert any("somebody else runs" in line and unit.id in line for _, line in bench.shown.lines)


@pytest.mark.parametrize("verb", ["acquire", "put", "delete"])
def test_a_store_that_is_away_while_units_are_gathered_is_waited_for(bench, monkeypatch, verb):
    job, unit = bench.job(), Unit("p", "s", ("s",))
    with closing(Keeper(bench.store, unit_job(job, unit), run="r1", listener=bench.shown)) as keeper:
        keeper.acknowledge({"bookmarks": {"s": {"n": 1}}})
        keeper.persist()
    with closing(Keeper(bench.store, job, run="r2", listener=bench.shown)) as keeper:
        real, left = getattr(bench.store, verb), [2]

        def flaky(*arguments, **said):
            left[0] -= 1
            if left[0] >= 0:
                raise StoreAwayError("no route")
            return real(*arguments, **said)

        monkeypatch.setattr(bench.store, verb, flaky)
        keeper.gather([unit])
    assert (bench.state, bench.store.keys()) == ({"bookmarks": {"s": {"n": 1}}}, ["p"])


def test_partitions_into_a_table_that_is_overwritten_are_refused(tmp_path):
    place = Place(tmp_path)
    path = tmp_path / "singer.toml"
    path.write_text(path.read_text().replace("batch_size_rows", 'load_method = "overwrite", batch_size_rows'))
    ended = place.call("run", "p", "--executor", "local:2")
    assert ended.returncode == 2
    assert "each would replace the others" in ended.stderr


def test_a_table_that_is_overwritten_stands_until_its_unit_replaces_it(tmp_path):
    place = Place(tmp_path)
    path = tmp_path / "singer.toml"
    text = path.read_text().replace("batch_size_rows", 'load_method = "overwrite", batch_size_rows')
    path.write_text(text.replace("[pipelines.p]", '[pipelines.p]\nstreams = ["plain"]').replace(
        "config = { parts", 'select = ["*.*"]\nconfig = { parts'))  # fmt: skip
    assert place.call("run", "p", "--executor", "local:1").returncode == 0
    assert len(place.loaded("plain")) == 20
    project = load_project(path)
    prepare(project.job("p"), tmp_path / ".singerkit")
    assert len(place.loaded("plain")) == 20


def test_options_that_units_would_not_see_are_refused(tmp_path):
    ended = Place(tmp_path).call("run", "p", "--executor", "local:2", "--full-refresh", "plain")
    assert (ended.returncode, "can't be combined" in ended.stderr) == (2, True)


def test_an_executor_that_is_none_is_refused(tmp_path):
    ended = Place(tmp_path).call("run", "p", "--executor", "loca:2")
    assert (ended.returncode, "local:N" in ended.stderr) == (2, True)


#: The small sample of `make test`; `make test-scale-out` does 200 units on 4 workers.
PARTS = int(os.environ.get("SINGERKIT_SCALE_OUT_UNITS", "3"))
WORKERS = int(os.environ.get("SINGERKIT_SCALE_OUT_WORKERS", "2"))
ROWS_BETWEEN_KILLS = 50


@pytest.mark.kill
def test_a_cluster_whose_workers_and_driver_are_killed_loses_nothing(tmp_path):
    pytest.importorskip("distributed")
    place = Place(tmp_path, parts=PARTS, rows=60, pause_s=0.01, writers=WORKERS, target=WITNESS)
    seed = random.Random(5)
    cluster = Cluster(tmp_path, WORKERS)
    with cluster:
        driver = place.drive(cluster.address)
        until = time.monotonic() + 1500
        driver_was_killed, loaded_at_kill = False, 0
        while time.monotonic() < until:
            time.sleep(0.2)
            if driver.poll() is not None:
                if driver.returncode == 0:
                    break
                assert driver.returncode == -signal.SIGKILL, (tmp_path / "driver.log").read_text()
                driver = place.drive(cluster.address)
            # As often as something was loaded, not as time goes by: a slow machine must get somewhere, too.
            loaded = len(place.loaded_so_far())
            if loaded - loaded_at_kill >= ROWS_BETWEEN_KILLS:
                loaded_at_kill = loaded
                cluster.kill_one(seed)
                if not driver_was_killed and loaded > len(place.rows_expected) / 3:
                    driver_was_killed = True
                    driver.kill()
        assert driver.wait() == 0
        assert driver_was_killed
    print(f"{cluster.kills} workers and the driver were killed")
    place.is_complete()
    assert len(list((tmp_path / "parts").iterdir())) == PARTS + 1  # a lock each, and no word of two at once


@pytest.mark.parametrize("where", ["local", "cluster"])
def test_units_are_stopped_and_drain_when_the_driver_is_asked_to_end(tmp_path, where):
    place = Place(tmp_path, parts=3, rows=100_000, pause_s=0.01)
    if where == "cluster":
        pytest.importorskip("distributed")
    with Cluster(tmp_path, 2) if where == "cluster" else nullcontext() as cluster:
        driver = place.drive(cluster.address if cluster else "local:2")
        until = time.monotonic() + 120
        while len({part for part, _ in place.loaded_so_far()}) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(120) == 128 + signal.SIGTERM, (tmp_path / "driver.log").read_text()
        loaded = place.loaded()
        time.sleep(1)
        assert place.loaded() == loaded  # nobody goes on, though the workers are there
    bookmarks = [bookmark_of(state) for key, state in place.states().items() if key != "p"]
    assert dict(bookmarks) == {part: max(n for of, n in loaded if of == part) for part, _ in loaded}
    assert {run["status"] for run in place.runs()} == {"cancelled"}


class BreakingOff(ThreadPoolExecutor):
    """Threads of which some say that the store went away, instead of running what they were given."""

    def __init__(self, breaks):
        super().__init__(2)
        self.breaks = breaks

    def submit(self, work, text, *rest):
        if self.breaks and '"part": 1' in text:
            self.breaks -= 1
            broken = Future()
            broken.set_exception(StoreAwayError("no route"))
            return broken
        return super().submit(work, text, *rest)


@pytest.mark.parametrize(("breaks", "status"), [(3, "success"), (99, "tap_failed")])
def test_a_unit_whose_store_went_away_is_tried_again(tmp_path, bench, monkeypatch, breaks, status):
    monkeypatch.setenv("SINGERKIT_LEASE_SECONDS", "1")
    place = Place(tmp_path)
    project = load_project(tmp_path / "singer.toml")
    job = project.job("p")
    units = plan_units(job, tmp_path)
    store = open_store(project.state_url)
    where = Where(str(tmp_path / "singer.toml"), None, project.state_url)
    with BreakingOff(breaks) as executor:
        workers = Workers(executor, lambda: 2, lambda function: function(), lambda error: False)
        record = ScaleOut(job, units, where, store, bench.shown)(workers, lambda unit: bench.shown)
    store.close()
    assert record.status == status
    if status == "success":
        place.is_complete()
    else:
        assert "parts:" in record.failure
        assert "it came no further" in record.failure


def test_steps_after_units_know_the_run_and_show_no_secret(tmp_path, bench):
    place = Place(tmp_path)
    facts = tmp_path / "facts"
    project = load_project(tmp_path / "singer.toml")
    job = project.job("p")
    job = replace(
        job,
        tap=replace(job.tap, secrets=frozenset({"hush-hush"})),
        after=(f"env | grep ^SINGERKIT_ > {facts}", "echo hush-hush; exit 3"),
    )
    units = plan_units(job, tmp_path)
    store = open_store(project.state_url)
    store.log(RunRecord(id="killed", pipeline="p", state_key="p", started=utc_now() - timedelta(days=1)))
    where = Where(str(tmp_path / "singer.toml"), None, project.state_url)
    with ThreadPoolExecutor(2) as executor:
        workers = Workers(executor, lambda: 2, lambda function: function(), lambda error: False)
        record = ScaleOut(job, units, where, store, bench.shown)(workers, lambda unit: bench.shown)
    revision = store.get("p").revision
    assert store.run("killed").status == "crashed"
    store.close()
    assert set(facts.read_text().splitlines()) >= {
        f"SINGERKIT_RUN_ID={record.id}",
        "SINGERKIT_PIPELINE=p",
        "SINGERKIT_STATUS=success",
        "SINGERKIT_RECORDS=60",
        "SINGERKIT_STREAMS=parts,plain",
        f"SINGERKIT_STATE_REVISION={revision}",
    }
    assert (record.status, record.exit_code) == ("after_failed", 1)
    assert "`echo ***; exit 3` that follows failed (exit code 3)" in record.failure
    assert [line for program, line in bench.shown.lines if program == "after"][1:] == ["$ echo ***; exit 3", "***"]
    place.is_complete()


def test_units_that_no_worker_can_take_are_told_and_can_be_cancelled(tmp_path):
    pytest.importorskip("distributed")
    place = Place(tmp_path)
    path = tmp_path / "singer.toml"
    path.write_text(path.read_text().replace("[taps.tap-shares]", "[taps.tap-shares]\nresources = { api = 1 }"))
    with Cluster(tmp_path, 1) as cluster:
        driver = place.drive(cluster.address)
        until = time.monotonic() + 60
        while "no worker with api" not in (tmp_path / "driver.log").read_text() and time.monotonic() < until:
            time.sleep(0.1)
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(60) == 128 + signal.SIGTERM
    assert "no worker with api" in (tmp_path / "driver.log").read_text()


def bookmark_of(state):
    """Give part and number of a unit's only bookmark."""
    ((_, bookmark),) = state["bookmarks"].items()
    part = bookmark["partitions"][0] if "partitions" in bookmark else bookmark
    return part.get("context", {}).get("part", 0), part["replication_key_value"]


class Cluster:
    """A Dask scheduler and workers, each a process of its own; a worker that is killed is started anew."""

    def __init__(self, folder, count):
        self.folder = folder
        self.count = count
        self.workers = []
        self.kills = 0

    def __enter__(self):
        self.scheduler = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
             "--no-dashboard", "--scheduler-file", str(self.folder / "scheduler.json")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 60
        while not (self.folder / "scheduler.json").exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.2)
        self.address = json.loads((self.folder / "scheduler.json").read_text())["address"].replace("tcp://", "dask://")
        self.workers = [self._worker() for _ in range(self.count)]
        time.sleep(3)
        return self

    def _worker(self):
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", self.address.replace("dask://", "tcp://"),
             "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder / "dask")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SINGERKIT_LEASE_SECONDS": "3"},
        )  # fmt: skip

    def kill_one(self, seed):
        self.kills += 1
        at = seed.randrange(self.count)
        self.workers[at].send_signal(signal.SIGKILL)
        self.workers[at].wait()
        self.workers[at] = self._worker()

    def __exit__(self, *exception):
        for process in [*self.workers, self.scheduler]:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
