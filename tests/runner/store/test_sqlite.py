"""The SQLite store: what is no store is never taken for an empty one, and nobody else can read it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from singerkit.runner.store.base import RunRecord, StoreError
from singerkit.runner.store.open import open_store
from singerkit.runner.store.sqlite import SQLiteStore

STATE = {"bookmarks": {"orders": {"replication_key_value": "2024-05-01"}}}


@pytest.fixture
def path(tmp_path):
    """Give a closed store with one state."""
    path = tmp_path / "folder/state.db"
    store = SQLiteStore(path)
    lease = store.acquire("k", "tests", 60)
    for number in range(30):  # several pages, so that there is something to damage
        store.put("k", {**STATE, "n": number, "text": "x" * 900}, expected=number or None, lease=lease, run="r")
    store.close()
    return path


def test_file_and_folder_are_the_owners_only(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    SQLiteStore(tmp_path / "state.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is an empty file, so what it held is lost"),
        (b"\0" * 8192, "is no SQLite database, or damaged"),
        (b"hello", "is no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 200, "state.db"),
    ],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path, content, said):
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=said):
        SQLiteStore(path).get("k")
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE states (key TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="a SQLite database, but no state store"):
        SQLiteStore(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version_is_refused(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer singerkit .version 99 .* upgrade"):
        SQLiteStore(path)


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(StoreError, match="can't be used"):
        SQLiteStore(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Not a directory|File exists"):
        SQLiteStore(tmp_path / "file/state.db")


@pytest.mark.parametrize("cut", [100, 5000, 0.5])
def test_a_file_that_was_cut_is_damaged_not_empty(path, cut):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * cut) if cut < 1 else cut)
    with pytest.raises(StoreError, match="damaged"):
        read_all(path)


def test_every_byte_that_is_turned_in_a_state_is_noticed(path):
    """A state may be right, or an error, and left out of its key's history: never another one."""
    store = SQLiteStore(path)
    before = store.history("k")
    store.close()
    content = path.read_bytes()
    at = content.index(b"2024-05-01")
    for place in (at, at + 9, at - 3):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with closing(SQLiteStore(path)) as store:
            after = store.history("k")
        assert len(after) == len(before) - 1
        assert all(stored in before for stored in after)


def test_damage_that_hides_a_state_does_not_make_it_one_that_never_was(tmp_path):
    """Whatever page is written over: what was stored is given, or it is an error."""
    path, keys, page = tmp_path / "state.db", [f"pipeline {n}" for n in range(20)], 4096
    with closing(SQLiteStore(path)) as store:
        for key in keys:
            store.put(key, {"of": key}, expected=None, lease=store.acquire(key, "tests", 60), run="r")
    content = path.read_bytes()
    for place in range(page, len(content), page):
        path.write_bytes(content[: place + 8] + b"X" * 32 + content[place + 40 :])
        for key in keys:
            try:
                with closing(SQLiteStore(path)) as store:
                    found = store.get(key)
            except StoreError:
                continue
            assert found is not None
            assert found.state == {"of": key}


def read_all(path):
    with closing(SQLiteStore(path)) as store:
        assert store.get("k") is not None
        return store.history("k")


def test_a_lost_file_whose_changes_are_beside_it_is_no_new_store(tmp_path):
    (tmp_path / "state.db-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"'state.db-wal' beside it holds changes"):
        SQLiteStore(tmp_path / "state.db")
    assert not (tmp_path / "state.db").exists()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_acknowledged_that_goes_to_a_file_that_was_removed(path, is_replaced):
    with closing(SQLiteStore(path)) as store:
        lease = store.acquire("k", "tests", 60, force=True)
        path.rename(path.with_name("moved.db"))
        if is_replaced:
            SQLiteStore(path.with_name("other.db")).close()
            path.with_name("other.db").rename(path)
        with pytest.raises(StoreError, match="removed or replaced while it was used"):
            store.put("k", {"lost": 1}, expected=30, lease=lease, run="r")
        assert path.exists() == is_replaced


def test_a_closed_store_says_so(path):
    store = SQLiteStore(path)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.get("k")


def test_a_damaged_run_is_an_error(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO runs VALUES ('x', 'p', '2024', '{\"id\": 1}')")
        database.commit()
    with closing(SQLiteStore(path)) as store, pytest.raises(StoreError, match="run 'x' is damaged"):
        store.runs()


def test_a_run_of_a_newer_version_is_read_as_far_as_it_is_known(path):
    record = '{"id":"x","pipeline":"p","state_key":"k","started":"2024-01-01T00:00:00Z","invented":1}'
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO runs VALUES ('x', 'p', '2024', ?)", [record])
        database.commit()
    with closing(SQLiteStore(path)) as store:
        assert isinstance(store.run("x"), RunRecord)


def test_many_processes_that_make_it_at_once_make_one(tmp_path):
    code = (
        "import sys; from singerkit.runner.store.open import open_store\n"
        "store = open_store(sys.argv[1]); key = sys.argv[2]\n"
        "lease = store.acquire(key, 'tests', 60); store.put(key, {'a': 1}, expected=None, lease=lease, run='r')"
    )
    url = f"sqlite:///{tmp_path}/new/state.db"
    children = [subprocess.Popen([sys.executable, "-c", code, url, f"k{n}"]) for n in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    with closing(open_store(url)) as store:
        assert store.keys() == ["k0", "k1", "k2", "k3"]
