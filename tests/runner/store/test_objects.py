"""Stores of objects: their files, their damage, what they do not understand, answers that are lost."""

from __future__ import annotations

import re
import stat
import threading

import pytest
from pytest_httpserver import HTTPServer

from singerkit.runner.store import bucket as bucket_module
from singerkit.runner.store.base import ConflictError, RunRecord, StoreAwayError, StoreError
from singerkit.runner.store.folder import Folder
from singerkit.runner.store.objects import ObjectStore
from singerkit.runner.store.open import open_store
from singerkit.runner.store.places import Changed


@pytest.fixture
def folder(tmp_path):
    """Give the folder of a store with two states of a key."""
    path = tmp_path / "states"
    store = open_store(f"file://{path}")
    lease = store.acquire("prod/shop", "tests", 60)
    store.put("prod/shop", {"n": 1}, expected=None, lease=lease, run="r")
    store.put("prod/shop", {"n": 2}, expected=1, lease=lease, run="r")
    return path


def test_its_files_are_the_owners_only_and_say_what_they_are(folder):
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [
        ".lock",
        "heads/prod=2Fshop.json",
        "history/prod=2Fshop/000000000001.json",
        "probe.json",
        "store.json",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.glob("*/"))} == {0o700}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("store.json", b"", "'store.json' in .* is damaged"),
        ("store.json", b"[1]", "'store.json' in .* is damaged"),
        ("store.json", b'{"layout": 99}', "newer singerkit .layout 99"),
        ("store.json", None, "not the file 'store.json' that marks a state store"),
        ("heads/prod=2Fshop.json", b"", "the state of 'prod/shop' in .* is damaged"),
        ("heads/prod=2Fshop.json", b'{"key": "other"}', "there is that of 'other'"),
        ("heads/prod=2Fshop.json", b'{"key":"prod/shop","state":"{}","digest":"x","at":"2024-01-01T00:00:00Z"}', "dam"),
    ],
)
def test_damage_is_an_error_and_never_an_empty_store(folder, name, content, said):
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=said):
        open_store(f"file://{folder}").get("prod/shop")


def test_a_damaged_history_is_an_error(folder):
    (folder / "history/prod=2Fshop/000000000001.json").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"000000000001.json' in .* is damaged"):
        open_store(f"file://{folder}").history("prod/shop")


def test_a_draft_that_a_crash_left_is_no_file(folder):
    (folder / "heads/.draft").write_bytes(b"half")
    store = open_store(f"file://{folder}")
    assert store.keys() == ["prod/shop"]
    lease = store.acquire("prod/shop", "tests", 60, force=True)
    assert store.put("prod/shop", {"n": 3}, expected=2, lease=lease, run="r").revision == 3


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be used"):
        open_store(f"file://{tmp_path}/file/states")


def test_a_bucket_that_is_not_there_is_an_error(bucket):
    with pytest.raises(StoreError, match="s3://none/x can't list") as caught:
        open_store(bucket.replace("states/PREFIX", "none/x"))
    assert "C4NARY" not in str(caught.value)


@pytest.fixture
def answering(monkeypatch):
    """Give a function that gives the URL of a bucket behind a server that answers everything with one status."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "C4NARY-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "C4NARY-secret")
    monkeypatch.setitem(bucket_module._RETRIES, "max_retries", 1)
    servers = []

    def answering(status):
        server = HTTPServer()
        servers.append(server)
        server.start()
        server.expect_request(re.compile(".*")).respond_with_data("no", status=status)
        return f"s3://states/x?endpoint={server.url_for('')}&region=us-east-1&allow_http=true"

    yield answering
    for server in servers:
        server.stop()


@pytest.mark.parametrize(
    ("status", "code"), [(500, 1), (503, 1), (429, 1), (408, 1), (400, 2), (401, 2), (403, 2), (404, 2)]
)
def test_a_service_that_fails_is_told_from_one_that_refuses(answering, status, code):
    with pytest.raises(StoreError) as caught:
        open_store(answering(status))
    assert (caught.value.exit_code, isinstance(caught.value, StoreAwayError)) == (code, code == 1)
    assert "C4NARY" not in str(caught.value)


def test_a_service_that_does_not_answer_is_away(answering):
    with pytest.raises(StoreAwayError) as caught:
        open_store("s3://states/x?endpoint=http://127.0.0.1:1&region=us-east-1&allow_http=true")
    assert caught.value.exit_code == 1


class Forgetful(Folder):
    """Does what it is asked, and then the answer is lost, so it is asked again: as clients of object stores do."""

    def write(self, name, content, version):
        super().write(name, content, version)
        raise Changed


def test_an_answer_that_is_lost_is_no_conflict(folder):
    store = ObjectStore(Forgetful(folder), "the folder")
    lease = store.acquire("prod/shop", "again", 60, force=True)
    assert lease.owner == "again"
    assert store.put("prod/shop", {"n": 3}, expected=2, lease=lease, run="r").revision == 3
    assert [stored.state["n"] for stored in store.history("prod/shop")] == [3, 2, 1]


class Careless(Folder):
    """Ignores conditions of one kind, as services do that do not know them."""

    def __init__(self, path, ignored):
        super().__init__(path)
        self.ignored = ignored

    def write(self, name, content, version):
        if self.ignored(version):
            self.replace(name, content)
        else:
            super().write(name, content, version)


@pytest.mark.parametrize("ignored", [lambda version: version is None, lambda version: version is not None])
def test_a_service_without_conditional_writes_is_no_store(tmp_path, ignored):
    for _ in range(2):
        with pytest.raises(StoreError, match="does not know conditional writes"):
            ObjectStore(Careless(tmp_path, ignored), "the bucket")


class Interrupted(Folder):
    """Lets another writer in between reading and writing."""

    def __init__(self, path, between):
        super().__init__(path)
        self.between = between

    def write(self, name, content, version):
        between, self.between = self.between, lambda: None
        between()
        super().write(name, content, version)


def test_a_lease_that_is_taken_between_reading_and_writing_keeps_the_state_from_being_written(folder):
    other = open_store(f"file://{folder}")
    store = ObjectStore(Interrupted(folder, lambda: None), "the folder")
    lease = store.acquire("prod/shop", "first", 60, force=True)
    store._place.between = lambda: other.acquire("prod/shop", "second", 60, force=True)
    with pytest.raises(StoreError, match="second has taken it since"):
        store.put("prod/shop", {"n": 3}, expected=2, lease=lease, run="r")
    assert other.get("prod/shop").state == {"n": 2}


def test_two_that_put_at_once_do_not_overwrite_each_other(folder):
    store = open_store(f"file://{folder}")
    lease = store.acquire("prod/shop", "tests", 60, force=True)
    gate, won, lost = threading.Barrier(4), [], []

    def put(number):
        gate.wait()
        try:
            won.append(store.put("prod/shop", {"n": number}, expected=2, lease=lease, run="r").state)
        except ConflictError:
            lost.append(number)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    assert store.get("prod/shop").state == won[0]


def test_a_key_in_a_store_is_read_by_any_machine(bucket):
    url = bucket.replace("PREFIX", "shared")
    first, second = open_store(url), open_store(url)
    lease = first.acquire("k", "tests", 60)
    first.put("k", {"n": 1}, expected=None, lease=lease, run="r")
    assert second.get("k").state == {"n": 1}
    assert second.renew(lease, 60).token == lease.token


def test_more_runs_than_a_page_of_a_bucket_holds_are_found(tmp_path):
    from datetime import UTC, datetime, timedelta

    store = open_store(f"file://{tmp_path}/states")
    start = datetime(2024, 1, 1, tzinfo=UTC)
    runs = [
        RunRecord(id=str(n), pipeline="rare" if n == 3 else "p", state_key="k", started=start + timedelta(hours=n))
        for n in range(60)
    ]
    for run in runs:
        store.log(run)
    assert store.runs("rare", limit=1) == [runs[3]]
    assert store.runs(limit=7) == runs[:-8:-1]
