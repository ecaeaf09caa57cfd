"""What a tap's author writes, in a file of their own, run from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
from __future__ import annotations
import functools
from singerkit import Stream, Tap, typing as th
SCHEMA = th.PropertiesList(
    th.Property("id", th.IntegerType), th.Property("at", th.DateTimeType), th.Property("who", th.StringType),
).to_dict()
class Base(Stream):
    name, schema, primary_keys = "things", SCHEMA, ["id"]
class TapThings(Tap):
    "Reads things."
    name = "tap-things"
    config_jsonschema = th.PropertiesList(
        th.Property("start_date", th.DateTimeType), th.Property("token", th.StringType, secret=True)
    ).to_dict()
    kinds = []
    def discover_streams(self): return [kind(self) for kind in self.kinds]
"""


class Author:
    """Runs what an author wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, body: str, *options: str, code: int = 0, config: dict | None = None, state: dict | None = None
    ) -> list:
        """Give the messages; ``body`` defines the stream classes and puts them in ``TapThings.kinds``."""
        found = self.process(body, *options, config=config, state=state)
        assert found.returncode == code, found.stderr.decode()
        self.log = found.stderr.decode()
        return [json.loads(line) for line in found.stdout.splitlines()]

    def process(self, body: str, *options: str, config: dict | None = None, state: dict | None = None):
        program = self.folder / "tap_things.py"
        program.write_text(HEAD + body + "\nTapThings.cli()\n")
        words = [sys.executable, str(program), *options]
        for name, document in (("config", config), ("state", state)):
            if document is not None:
                path = self.folder / f"{name}.json"
                path.write_text(json.dumps(document))
                words += [f"--{name}", str(path)]
        return subprocess.run(words, capture_output=True, timeout=60, check=False, cwd=self.folder)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


def records(messages: list, stream: str = "things") -> list[dict]:
    return [m["record"] for m in messages if m["type"] == "RECORD" and m["stream"] == stream]


def test_declarations_may_be_attributes_properties_or_cached(author: Author) -> None:
    messages = author.run("""
class Things(Base):
    @property
    def primary_keys(self): return ("id", "who")
    @functools.cached_property
    def schema(self): return {**SCHEMA, "title": self.config.get("start_date", "none")}
    @property
    def replication_key(self): return "at"
    def get_records(self, context):
        yield {"id": 1, "at": "2024-01-01T00:00:00Z", "who": "x"}
TapThings.kinds = [Things]
""")
    assert messages[0]["key_properties"] == ["id", "who"]
    assert messages[0]["schema"]["title"] == "none"
    assert messages[-1]["value"]["bookmarks"]["things"]["replication_key"] == "at"


def test_a_schema_may_be_a_file(author: Author) -> None:
    (author.folder / "things.json").write_text('{"properties": {"id": {"type": "integer"}}}')
    messages = author.run("""
from pathlib import Path
class Things(Stream):
    name, primary_keys, schema_filepath = "things", ["id"], Path("things.json")
    def get_records(self, context): return [{"id": 1, "other": 2}]
TapThings.kinds = [Things]
""")
    assert records(messages) == [{"id": 1}]


def test_get_records_may_give_a_list_a_tuple_an_iterator_or_a_generator(author: Author) -> None:
    messages = author.run("""
def giving(name, gives):
    return type(name, (Base,), {"name": name, "get_records": lambda self, context: gives})
kinds = [giving("a", [{"id": 1}]), giving("b", ({"id": 1},)), giving("c", iter([{"id": 1}])),
         giving("d", ({"id": n} for n in (1,))), giving("e", [])]
TapThings.kinds = kinds
""")
    assert [records(messages, name) for name in "abcde"] == [[{"id": 1}]] * 4 + [[]]


def test_post_process_changes_and_drops(author: Author) -> None:
    messages = author.run("""
class Things(Base):
    def get_records(self, context): yield from ({"id": n} for n in range(6))
    def post_process(self, row, context=None):
        if row["id"] % 2: return None
        return {**row, "who": str(context)}
TapThings.kinds = [Things]
""")
    assert records(messages) == [{"id": n, "who": "None"} for n in (0, 2, 4)]


BOOKMARKED = """
class Things(Base):
    replication_key = "at"
    def get_records(self, context):
        start = self.get_starting_timestamp(context)
        assert start is None or start.tzinfo is not None
        yield {"id": 1, "at": "2024-05-05T00:00:00Z",
               "who": f"{start and start.isoformat()} {self.get_starting_replication_key_value(context)}"}
TapThings.kinds = [Things]
"""


@pytest.mark.parametrize(
    ("bookmark", "start_date", "expected"),
    [
        (None, None, "None None"),
        (None, "2024-01-01", "2024-01-01T00:00:00+00:00 2024-01-01"),
        ("2024-02-01T00:00:00Z", None, "2024-02-01T00:00:00+00:00 2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-01-01", "2024-02-01T00:00:00+00:00 2024-02-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-03-01", "2024-03-01T00:00:00+00:00 2024-03-01"),
        ("2024-02-01T01:30:00+02:00", "2024-02-01T00:00:00Z", "2024-02-01T00:00:00+00:00 2024-02-01T00:00:00Z"),
    ],
)
def test_where_to_begin(author: Author, bookmark: str | None, start_date: str | None, expected: str) -> None:
    entry = {"replication_key": "at", "replication_key_value": bookmark}
    state = {"bookmarks": {"things": entry}} if bookmark else None
    config = {"start_date": start_date} if start_date else {}
    assert records(author.run(BOOKMARKED, config=config, state=state))[0]["who"] == expected


def test_a_bookmark_of_another_replication_key_does_not_count(author: Author) -> None:
    state = {"bookmarks": {"things": {"replication_key": "created", "replication_key_value": "2024-02-01T00:00:00Z"}}}
    assert records(author.run(BOOKMARKED, state=state))[0]["who"] == "None None"


def test_a_timestamp_in_the_future_does_not_move_the_bookmark_past_now(author: Author) -> None:
    body = BOOKMARKED.replace("2024-05-05", "2999-05-05")
    for is_sorted in ("", "Things.is_sorted = True"):
        value = author.run(body + is_sorted)[-1]["value"]["bookmarks"]["things"]["replication_key_value"]
        assert "2024" < value < "2200"


FAMILY = """
class Parents(Base):
    name = "parents"
    def get_records(self, context): yield from ({"id": n} for n in range(3))
    HOOK
class Children(Base):
    name, parent_stream_type = "children", Parents
    KEYS
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("parent_id", th.IntegerType)).to_dict()
    def get_records(self, context): yield {"id": context["parent_id"] * 10}
TapThings.kinds = [Children, Parents]
"""


@pytest.mark.parametrize(
    "hook",
    [
        'def get_child_context(self, record, context): return {"parent_id": record["id"]}',
        'def generate_child_contexts(self, record, context): yield {"parent_id": record["id"]}',
    ],
)
def test_children_take_their_contexts_from_a_hook(author: Author, hook: str) -> None:
    messages = author.run(FAMILY.replace("HOOK", hook).replace("KEYS", ""))
    found = sorted(records(messages, "children"), key=lambda record: record["id"])
    assert found == [{"id": n * 10, "parent_id": n} for n in range(3)]


def test_a_parent_may_skip_its_children(author: Author) -> None:
    hook = 'def get_child_context(self, record, context): return {"parent_id": 1} if record["id"] == 1 else None'
    assert len(records(author.run(FAMILY.replace("HOOK", hook).replace("KEYS", "")), "children")) == 1


def test_a_parent_without_a_hook_is_an_error_that_says_what_to_define(author: Author) -> None:
    author.run(FAMILY.replace("HOOK", "").replace("KEYS", ""), code=2)
    assert "get_child_context" in author.log
    assert "Traceback" not in author.log


def test_children_may_share_one_bookmark(author: Author) -> None:
    hook = 'def get_child_context(self, record, context): return {"parent_id": record["id"]}'
    keys = 'state_partitioning_keys = []\n    replication_key = "id"'
    state = author.run(FAMILY.replace("HOOK", hook).replace("KEYS", keys))[-1]["value"]
    assert state["bookmarks"]["children"] == {"replication_key": "id", "replication_key_value": 20}


PARTITIONED = """
class Things(Base):
    replication_key = "id"
    is_sorted = True
    partitions = [{"who": "a"}, {"who": "b"}]
    def get_records(self, context):
        start = self.get_starting_replication_key_value(context) or 0
        yield from ({"id": n} for n in range(start, 3))
TapThings.kinds = [Things]
"""


def test_partitions_have_bookmarks_of_their_own_and_their_members_are_added(author: Author) -> None:
    messages = author.run(PARTITIONED)
    assert sorted((r["who"], r["id"]) for r in records(messages)) == [(w, n) for w in "ab" for n in range(3)]
    state = messages[-1]["value"]
    assert {e["context"]["who"]: e["replication_key_value"] for e in state["bookmarks"]["things"]["partitions"]} == {
        "a": 2,
        "b": 2,
    }
    assert len(records(author.run(PARTITIONED, state=state))) == 2


def test_partitions_of_the_state_are_gone_on_with(author: Author) -> None:
    state = author.run(PARTITIONED)[-1]["value"]
    body = PARTITIONED.replace('    partitions = [{"who": "a"}, {"who": "b"}]\n', "")
    assert {r["who"] for r in records(author.run(body, state=state))} == {"a", "b"}


def test_partitions_named_by_dates_are_found_again_run_after_run(author: Author) -> None:
    body = PARTITIONED.replace('"a"}', "datetime.date(2024, 1, 1)}").replace('"b"}', "datetime.date(2024, 1, 2)}")
    state = None
    for _ in range(3):
        messages = author.run("import datetime" + body, state=state)
        state = messages[-1]["value"]
    assert len(state["bookmarks"]["things"]["partitions"]) == 2
    assert len(records(messages)) == 2


def test_an_author_may_keep_something_in_the_state(author: Author) -> None:
    messages = author.run(
        """
class Things(Base):
    replication_key = "id"
    def get_records(self, context):
        self.get_context_state(context)["cursor"] = "abc"
        yield {"id": 1, "who": str(self.stream_state.get("seen"))}
TapThings.kinds = [Things]
""",
        state={"bookmarks": {"things": {"seen": True}}},
    )
    assert records(messages)[0]["who"] == "True"
    assert messages[-1]["value"]["bookmarks"]["things"]["cursor"] == "abc"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("class Things(Stream):\n    schema = SCHEMA\nTapThings.kinds = [Things]", ["name"]),
        ("class Things(Stream):\n    name = 'things'\nTapThings.kinds = [Things]", ["schema"]),
        ("class Things(Base): pass\nTapThings.kinds = [Things]", ["get_records"]),
        ("class Things(Base):\n    primary_keys = ['nope']\nTapThings.kinds = [Things]", ["'nope'"]),
        ("class A(Base): pass\nclass B(Base): pass\nTapThings.kinds = [A, B]", ["two streams", "things"]),
        ("class Things(Base):\n    replication_key = 'nope'\nTapThings.kinds = [Things]", ["'nope'"]),
        ("class A(Base): pass\nclass B(Base):\n    name, parent_stream_type = 'b', A\nTapThings.kinds = [B]", ["A"]),
        ("TapThings.discover_streams = Tap.discover_streams", ["discover_streams"]),
    ],
)
def test_mistakes_of_the_author_are_named(author: Author, body: str, words: list) -> None:
    found = author.process(body)
    log = found.stderr.decode()
    assert found.returncode not in (0, 141)
    assert "Traceback" not in log
    for word in words:
        assert word in log


def test_full_runs_give_versions_when_asked(author: Author) -> None:
    body = "class Things(Base):\n    def get_records(self, context): yield {'id': 1}\nTapThings.kinds = [Things]"
    messages = author.run(body, config={"emit_activate_version_messages": True})
    assert [m["type"] for m in messages] == ["SCHEMA", "RECORD", "ACTIVATE_VERSION", "STATE"]
    assert messages[1]["version"] == messages[2]["version"]


def test_maps_and_flattening_are_settings_of_every_tap(author: Author) -> None:
    body = """
class Things(Base):
    def get_records(self, context): yield {"id": 1, "who": "x"}
TapThings.kinds = [Things]
"""
    config = {"stream_maps": {"things": {"who": "who.upper()", "__alias__": "stuff"}}}
    assert records(author.run(body, config=config), "stuff") == [{"id": 1, "who": "X"}]


def test_all_a_tap_says_about_itself(author: Author) -> None:
    body = "class Things(Base): pass\nTapThings.kinds = [Things]"
    for options in (["--help"], ["--about", "--format", "json"]):
        found = author.process(body, *options)
        assert found.returncode == 0, found.stderr
        assert found.stdout
    catalog = json.loads(author.process(body, "--discover").stdout)
    assert [entry["tap_stream_id"] for entry in catalog["streams"]] == ["things"]


def test_secrets_do_not_show(author: Author) -> None:
    body = """
class Things(Base):
    def get_records(self, context):
        self.logger.warning("token is %s", self.config["token"])
        print(self.config["token"])
        raise RuntimeError(self.config["token"])
TapThings.kinds = [Things]
"""
    for options in (["--log-level", "debug"], ["--log-format", "json"]):
        found = author.process(body, *options, config={"token": "C4NARY-token"})
        assert found.returncode == 1
        assert b"C4NARY" not in found.stdout + found.stderr
