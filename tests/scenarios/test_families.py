"""Partitions, parents, children and what fails among them, from the command line against a real API."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from child_processes import Ended, command, end, run, start, write_state
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

DATES = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]


#: What a complete run leaves.
STATE: dict[str, Any] = {
    "bookmarks": {
        "groups": {"replication_key": "at", "replication_key_value": DATES[2]},
        "topics": {
            "partitions": [
                {"context": {"group": n}, "replication_key": "at", "replication_key_value": DATES[1]} for n in range(3)
            ]
        },
    }
}


class Forum:
    """An API with groups, their topics and members, topics' posts, and tags; and what goes wrong there."""

    def __init__(self, groups: int = 3) -> None:
        self.url = ""
        self.groups = [{"id": number, "at": DATES[number % 3]} for number in range(groups)]
        self.asked: Counter[str] = Counter()
        self.since: dict[str, str | None] = {}
        self.odd: dict[str, Callable[[], Response]] = {}
        self.pause_s = 0.0
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        """Answer a request."""
        with self._lock:
            self.asked[request.path] += 1
            self.since[request.path] = request.args.get("since")
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            time.sleep(self.pause_s)
            odd = self.odd.get(request.path)
            return odd() if odd is not None else _json(self._records(request))
        finally:
            with self._lock:
                self.in_flight -= 1

    def _records(self, request: Request) -> list[dict[str, Any]]:
        match request.path.strip("/").split("/"):
            case ["groups"]:
                since = request.args.get("since", "")[:19]
                return sorted((g for g in self.groups if g["at"][:19] >= since), key=lambda group: group["at"])
            case ["groups", group, "topics"]:
                return [{"id": int(group) * 10 + n, "at": DATES[n]} for n in range(2)]
            case ["groups", group, "members"]:
                return [{"id": int(group)}]
            case ["topics", topic, "posts"]:
                return [{"id": int(topic) * 10 + n} for n in range(2)]
            case _:
                return [{"id": 1}, {"id": 2}]


def _json(records: list[dict[str, Any]]) -> Response:
    return Response(json.dumps({"data": records}), content_type="application/json")


@pytest.fixture(scope="module")
def _server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def forum(_server: HTTPServer) -> Forum:
    """An API that answers as it should."""
    forum = Forum()
    _server.clear()
    _server.expect_request(re.compile("/.*")).respond_with_handler(forum.answer)
    forum.url = f"http://127.0.0.1:{_server.port}"
    return forum


def tap(folder: Path, forum: Forum, *options: str, state: Any = None, **config: Any) -> Ended:
    return run(command("tap_forum", folder, *options, *write_state(folder, state), url=forum.url, **config))


def everything(groups: range = range(3)) -> dict[str, set[int]]:
    topics = {group * 10 + n for group in groups for n in range(2)}
    posts = {topic * 10 + n for topic in topics for n in range(2)}
    return {"groups": set(groups), "topics": topics, "members": set(groups), "posts": posts, "tags": {1, 2}}


def found(ended: Ended) -> dict[str, set[int]]:
    return {name: set(ended.ids(name)) for name in everything()}


def partitions(state: Any, stream: str = "topics") -> dict[int, str | None]:
    entries = state["bookmarks"].get(stream, {}).get("partitions", ())
    return {entry["context"]["group"]: entry.get("replication_key_value") for entry in entries}


def outcomes(ended: Ended) -> dict[str, str]:
    """The outcome of each stream, as the log has it."""
    found = {}
    for line in ended.log.splitlines():
        if "Stream '" in line and "': " in line:
            name, text = line.split("Stream '", 1)[1].split("': ", 1)
            found[name] = text
    return found


def refuse(status: int) -> Callable[[], Response]:
    return lambda: Response("no", status=status)


# Who is asked, and how often


def test_a_parent_that_several_children_share_is_asked_for_once(tmp_path: Path, forum: Forum) -> None:
    ended = tap(tmp_path, forum)
    assert ended.code == 0, ended.log
    assert found(ended) == everything()
    assert forum.asked["/groups"] == 1
    assert set(forum.asked.values()) == {1}
    assert partitions(ended.state) == {0: DATES[1], 1: DATES[1], 2: DATES[1]}


def test_never_more_at_a_time_than_allowed(tmp_path: Path, forum: Forum) -> None:
    forum.groups, forum.pause_s = Forum(12).groups, 0.01
    ended = tap(tmp_path, forum, max_concurrency=5)
    assert ended.code == 0, ended.log
    assert found(ended) == everything(range(12))
    assert 3 <= forum.most_in_flight <= 5


def test_each_partition_goes_on_from_its_own_bookmark(tmp_path: Path, forum: Forum) -> None:
    again = tap(tmp_path, forum, state=STATE)
    assert again.code == 0
    assert again.ids("groups") == [2]
    assert forum.since["/groups/2/topics"] == "2024-02-01T00:00:00Z"
    assert forum.asked["/groups/0/topics"] == 0
    assert again.state == STATE


def test_children_that_change_without_their_parent_have_all_parents_read(tmp_path: Path, forum: Forum) -> None:
    again = tap(tmp_path, forum, ignore_parent=True, state=STATE)
    assert set(again.ids("groups")) == {0, 1, 2}
    assert {forum.asked[f"/groups/{n}/topics"] for n in range(3)} == {1}
    assert forum.since["/groups"] is None
    assert forum.since["/groups/1/topics"] == "2024-02-01T00:00:00Z"


# Parents that are gone


def test_bookmarks_of_parents_that_are_gone_leave_the_state(tmp_path: Path, forum: Forum) -> None:
    del forum.groups[1]
    again = tap(tmp_path, forum, ignore_parent=True, state=STATE)
    assert again.code == 0
    assert partitions(again.state) == {0: DATES[1], 2: DATES[1]}
    assert "forgot the bookmarks of 1 partitions" in again.log


def test_bookmarks_stay_where_nobody_knows_whether_the_parent_is_gone(tmp_path: Path, forum: Forum) -> None:
    """Read incrementally, a parent gives only what has changed; broken off, only a part; empty, it may be ill."""
    forum.odd["/groups"] = refuse(400)
    broken = tap(tmp_path, forum, ignore_parent=True, state=STATE)
    assert broken.code == 1
    assert partitions(broken.state) == partitions(STATE)
    forum.odd["/groups"] = lambda: _json([])
    empty = tap(tmp_path, forum, ignore_parent=True, state=STATE)
    assert empty.code == 0
    assert partitions(empty.state) == partitions(STATE)


def test_a_parent_that_went_away_meanwhile_has_no_children(tmp_path: Path, forum: Forum) -> None:
    forum.odd = {"/groups/1/topics": refuse(404), "/groups/2/topics": refuse(410)}
    ended = tap(tmp_path, forum)
    assert ended.code == 0, ended.log
    left = everything()
    left["topics"] = {0, 1}
    left["posts"] = {0, 1, 10, 11}
    assert found(ended) == left


# Failures


def test_a_child_that_fails_does_not_stop_its_siblings_and_is_read_again(tmp_path: Path, forum: Forum) -> None:
    forum.odd["/groups/1/members"] = refuse(400)
    broken = tap(tmp_path, forum, max_concurrency=1)
    assert broken.code == 1
    assert {name: ids for name, ids in found(broken).items() if name != "members"} == {
        name: ids for name, ids in everything().items() if name != "members"
    }
    del forum.odd["/groups/1/members"]
    again = tap(tmp_path, forum, state=broken.state)
    assert again.code == 0
    assert found(broken)["members"] | found(again)["members"] == {0, 1, 2}


def test_the_summary_names_each_stream_s_end_and_cause(tmp_path: Path, forum: Forum) -> None:
    forum.odd["/groups/1/topics"] = refuse(400)
    ended = tap(tmp_path, forum, max_concurrency=1)
    assert ended.code == 1
    assert outcomes(ended)["groups"] == outcomes(ended)["members"] == "completed, 3 records"
    assert outcomes(ended)["tags"] == "completed, 2 records"
    assert outcomes(ended)["topics"].startswith("failed, 2 records: 400 Client Error")
    assert outcomes(ended)["posts"] == "stopped, 4 records: its parent 'topics' failed"
    assert "Summary: 3 completed, 1 failed, 1 stopped" in ended.log
    assert ended.log.count("CRITICAL") == 1
    assert forum.url not in ended.log


def test_a_stream_that_never_began_is_named_too(tmp_path: Path, forum: Forum) -> None:
    forum.odd["/groups"] = refuse(400)
    ended = tap(tmp_path, forum)
    assert ended.code == 1
    assert {name: outcomes(ended)[name] for name in ("topics", "members", "posts")} == {
        "topics": "not started: its parent 'groups' failed",
        "members": "not started: its parent 'groups' failed",
        "posts": "not started: its parent 'groups' failed",
    }
    assert found(ended)["tags"] == {1, 2}
    assert "Summary: 1 completed, 1 failed, 3 not started" in ended.log


def test_all_failures_are_told_though_one_decides_the_exit(tmp_path: Path, forum: Forum) -> None:
    forum.odd = {"/tags": refuse(400), "/groups/0/members": refuse(404)}
    ended = tap(tmp_path, forum)
    assert ended.code == 1
    assert outcomes(ended)["tags"].startswith("failed, 0 records: 400")
    assert outcomes(ended)["members"].startswith("failed, ")
    assert "404" in outcomes(ended)["members"]


def test_after_a_signal_the_summary_says_what_was_stopped(tmp_path: Path, forum: Forum) -> None:
    reached = threading.Event()

    def hang() -> Response:
        reached.set()
        time.sleep(3)
        return _json([])

    forum.odd["/groups/0/topics"] = hang
    process = start(command("tap_forum", tmp_path, url=forum.url, max_concurrency=1))
    assert reached.wait(20)
    process.send_signal(signal.SIGTERM)
    ended = end(process, seconds=20)
    assert ended.code == 143
    assert outcomes(ended)["groups"] == "stopped, 3 records: the run was stopped"
    assert outcomes(ended)["posts"].startswith("not started: the run was stopped")
