"""SIGKILL of the SQL targets at random moments: what was released is stored, and the next run makes the rest whole.

``SINGERKIT_KILLS`` says how often for each database (a few by default), ``SINGERKIT_KILL_SEED`` repeats one chain of
kills. A third of the kills hit loads of two streams, one that replaces by key and one that appends; a third hit loads
that append and keep their state in the database; the others hit loads that overwrite, while a reader looks at the table
all the time. What goes wrong prints the seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

import psycopg
import pymysql
import pytest

from . import servers
from .conftest import DATABASES, lines, made, record, schema, schema_of, state

pytestmark = pytest.mark.kill

KILLS = int(os.environ.get("SINGERKIT_KILLS", "3"))
SEED = os.environ.get("SINGERKIT_KILL_SEED")
BETWEEN = 10 if KILLS >= 20 else 2
OVERWRITES = BETWEEN if KILLS >= 20 else 1
SEEDS = [int(SEED)] if SEED else list(range(2000, 2000 + max(1, -(-KILLS // (3 * BETWEEN)))))

BATCH_ROWS = 100
KEYS = 700


@pytest.fixture(params=DATABASES)
def killed(request, tmp_path):
    for target in made(request.param, tmp_path):
        target.config |= {**servers.named(target.name, schema_of(target.folder)), "batch_size_rows": BATCH_ROWS}
        yield target


class Run:
    """A target's process, fed in a thread; its states are read in another."""

    def __init__(self, target, data, *, ends, **settings):
        self.target = target
        with (target.folder.parent / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                target.command(**settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        self.states = []
        self._threads = [Thread(target=self._read), Thread(target=self._feed, args=(data, ends))]
        for thread in self._threads:
            thread.start()

    def _feed(self, data, ends):
        with suppress(OSError):
            view = memoryview(data)
            while view:
                view = view[self.process.stdin.write(view) :]
            if ends:
                self.process.stdin.close()

    def _read(self):
        rest = b""
        while data := self.process.stdout.read(65_536):
            *whole, rest = (rest + data).split(b"\n")
            self.states += [json.loads(line) for line in whole]

    def wait_for_states(self, count):
        deadline = time.monotonic() + 60
        while len(self.states) < count and self.process.poll() is None:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.001)

    def kill(self):
        """Kill it, and wait until nothing of it is under way any more, in the server either."""
        self.process.send_signal(signal.SIGKILL)
        return self.end()

    def end(self):
        code = self.process.wait(60)
        for thread in self._threads:
            thread.join()
        self.process.stdout.close()
        self.process.stdin.close()
        while servers.sessions(self.target.name, schema_of(self.target.folder)):
            time.sleep(0.01)
        return code

    @property
    def log(self):
        return (self.target.folder.parent / "log.txt").read_text()[-3000:]


def messages_of(numbers):
    """Give messages of two streams: ``people`` has each key again and again, ``events`` has no keys."""
    yield schema("people")
    yield schema("events", keys=())
    for number in numbers:
        yield record("people", id=number % KEYS, name=str(number))
        yield record("events", id=number, name="x")
        if number % 30 == 29:
            yield state(number)


def last_versions(numbers):
    return {number % KEYS: number for number in numbers}


def stored(target):
    """Give what is there: the version of each key, and how often each event is stored."""
    found = []
    for stream in ("people", "events"):
        try:
            found.append(target.rows(stream, order=None))
        except Exception as error:  # noqa: BLE001 - each driver has its own class for a table that is not there yet
            assert any(words in str(error) for words in ("exist", "no such table")), error
            found.append([])
    people, events = found
    versions = Counter({row["id"]: int(row["name"]) for row in people})
    assert len(versions) == len(people), "a key is there twice"
    return versions, Counter(row["id"] for row in events)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_kills_nothing_that_was_released_is_missing_and_nothing_is_twice_that_need_not_be(killed, seed):
    print(f"SINGERKIT_KILL_SEED={seed}")
    chance = random.Random(seed)
    released, events_before = -1, Counter()
    for _ in range(BETWEEN):
        batches = chance.randrange(2, 8)
        sent = range(released + 1, released + 1 + batches * BATCH_ROWS)
        run = Run(killed, lines(*messages_of(sent)), ends=False)
        if chance.random() < 0.25:
            time.sleep(chance.uniform(0, 0.5))  # while it starts, or makes its tables
        else:
            run.wait_for_states(chance.randrange(batches))
            time.sleep(chance.choice([0, chance.uniform(0, 0.02)]))
        assert run.kill() == -signal.SIGKILL, run.log
        before, released = released, max([released, *run.states])
        versions, events = stored(killed)
        late = [key for key, version in last_versions(range(released + 1)).items() if versions[key] < version]
        assert not late, f"released and not stored: {len(late)} keys"
        new = events - events_before
        assert all(new[number] == 1 for number in range(before + 1, released + 1)), "released, and not once"
        assert all(number in sent and count == 1 for number, count in new.items()), "stored more than it was sent"
        assert events_before <= events
        events_before = events
    everything = range(released + 500)
    killed.load(*messages_of(range(released + 1, len(everything))), state("end"))
    versions, events = stored(killed)
    assert versions == last_versions(everything)
    assert set(events) == set(everything)
    assert sum((events - events_before).values()) == len(everything) - released - 1


def appended(numbers):
    """Give messages of two streams without keys, in which a state covers both."""
    yield schema("events", keys=())
    yield schema("calls", keys=())
    for number in numbers:
        yield record("events", id=number, name="x" * (number % 50))
        if number % 3 == 0:
            yield record("calls", id=number, name=None)
        if number % 30 == 29:
            yield state(number)


def kept(target):
    """Give the state that the database has, and the ids of both streams."""
    found = json.loads(target.stored_state())
    ids = []
    for stream in ("events", "calls"):
        try:
            ids.append(sorted(row["id"] for row in target.rows(stream, order=None)))
        except Exception as error:  # noqa: BLE001 - as in stored
            assert any(words in str(error) for words in ("exist", "no such table")), error
            ids.append([])
    return -1 if found == {} else found, *ids


@pytest.mark.parametrize("seed", SEEDS)
def test_with_the_state_in_the_database_every_record_is_there_once_whenever_it_is_killed(killed, seed):
    print(f"SINGERKIT_KILL_SEED={seed}")
    chance = random.Random(seed)
    killed.config |= {"state_key": "kills", "batch_wait_limit_seconds": 0}
    for _ in range(BETWEEN):
        begin, *_ = kept(killed)
        batches = chance.randrange(2, 8)
        # Each block that is read ends with a state that is stored: some inputs have one, some have many.
        count = batches * chance.choice([BATCH_ROWS, BATCH_ROWS, 30 * BATCH_ROWS])
        run = Run(killed, lines(*appended(range(begin + 1, begin + 1 + count))), ends=chance.random() < 0.2)
        if chance.random() < 0.4:
            time.sleep(chance.uniform(0, 1))
        else:
            run.wait_for_states(chance.randrange(2 if count < 30 * BATCH_ROWS else 4))
            time.sleep(chance.choice([0, chance.uniform(0, 0.1)]))
        code = run.kill()
        assert code in (0, 1, -signal.SIGKILL), run.log
        state_now, events, calls = kept(killed)
        assert state_now >= max([begin, *run.states]), "released and not kept"
        assert events == list(range(state_now + 1)), "not once each, up to the state that is kept"
        assert calls == list(range(0, state_now + 1, 3))
    end = state_now + 500
    killed.load(*appended(range(state_now + 1, end)), state(end - 1))
    assert kept(killed) == (end - 1, list(range(end)), list(range(0, end, 3)))


ROWS = 800


def generation(number, *, ends=True):
    rows = [record(id=row, name=str(number)) for row in range(ROWS)]
    return lines(schema(), *rows, *([state(number)] if ends else []))


@contextmanager
def looking(target):
    """Look at the table all the time; gives what was seen: rows, generations."""
    seen, over = [], Event()
    own = schema_of(target.folder)
    connect, table = {
        "target-postgres": (lambda: psycopg.connect(**servers.POSTGRES, autocommit=True), f"{own}.people"),
        "target-mysql": (lambda: pymysql.connect(**servers.MYSQL, autocommit=True), f"{own}.people"),
        "target-sqlite": (lambda: sqlite3.connect(target.folder / "db.sqlite", isolation_level=None), "people"),
    }.get(target.name, (None, ""))

    def look():
        with closing(connect()) as connection:
            cursor = connection.cursor()
            while not over.is_set():
                cursor.execute(f"SELECT count(*), min(name), max(name) FROM {table}")
                seen.append(cursor.fetchone())
                time.sleep(0.002)

    # A DuckDB file is its writer's alone.
    thread = Thread(target=look if connect else over.wait)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_overwrite_leaves_the_old_table_or_the_new_one(killed, seed):
    print(f"SINGERKIT_KILL_SEED={seed}")
    chance = random.Random(seed)
    killed.config["load_method"] = "overwrite"
    begun = time.monotonic()
    killed.load(generation(0))
    usual_s = time.monotonic() - begun
    old = "0"
    for number in range(1, OVERWRITES + 1):
        new = str(number)
        with looking(killed) as seen:
            ends = chance.random() < 0.8
            run = Run(killed, generation(number, ends=ends), ends=ends)
            time.sleep(chance.uniform(0.2, 1.1) * usual_s)
            code = run.kill()
        assert code in (0, -signal.SIGKILL), run.log
        assert set(seen) <= {(ROWS, old, old), (ROWS, new, new)}
        assert seen == sorted(seen, key=lambda found: found[1] == new), "the old table came back"
        names = {row["name"] for row in killed.rows()}
        assert names in ({old}, {new})
        assert len(killed.rows()) == ROWS
        assert names == {new} or not run.states, "released and not there"
        (old,) = names
    with looking(killed) as seen:
        killed.load(generation("end"))
    assert set(seen) <= {(ROWS, old, old), (ROWS, "end", "end")}
    assert {row["name"] for row in killed.rows()} == {"end"}
