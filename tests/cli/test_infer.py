"""`--infer`: from a stream's records to a schema file, and a run with it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from singerkit import PageNumberPaginator, RESTStream, SchemaDirectory, Stream, StreamSchema, Tap
from singerkit import typing as th
from singerkit.errors import ConfigurationError, DataError, DiscoveryError, FatalAPIError, SkippableSyncError
from singerkit.schema.sources import SchemaSource

TAP = """
from datetime import datetime, timezone
from pathlib import Path

from singerkit import SchemaDirectory, Stream, StreamSchema, Tap

SCHEMAS = SchemaDirectory(Path(__file__).parent / "schemas")


class Orders(Stream):
    name = "orders"
    primary_keys = ("id",)
    replication_key = "at"
    schema = StreamSchema(SCHEMAS)

    def get_records(self, context):
        self.get_starting_timestamp(context)
        print("reading")
        for number in range(10_000):
            day = datetime(2024, 1, 1 + number % 28, tzinfo=timezone.utc)
            yield {"id": number, "at": day, "state": ["new", "paid"][number % 2], "note": None if number % 7 else "é"}


class TapOrders(Tap):
    name = "tap-orders"

    def discover_streams(self):
        return [Orders(self)]


if __name__ == "__main__":
    TapOrders.cli()
"""


@pytest.fixture
def tap(tmp_path):
    (tmp_path / "tap_orders.py").write_text(TAP, encoding="utf-8")
    (tmp_path / "schemas").mkdir()

    def run(*words):
        command = [sys.executable, str(tmp_path / "tap_orders.py"), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


def test_a_schema_file_is_written_and_the_tap_runs_with_it(tap, tmp_path):
    assert tap("--discover").returncode == 3
    done = tap("--infer", "orders", "--records", "90", "--output", "schemas/orders.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert "inferred 4 properties from 90 records" in done.stderr
    schema = json.loads((tmp_path / "schemas/orders.json").read_text(encoding="utf-8"))
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "at": {"type": "string", "format": "date-time"},
            "state": {"type": "string", "examples": ["new", "paid"]},
            "note": {"type": ["string", "null"], "examples": ["é"]},
        },
    }
    assert [file.name for file in (tmp_path / "schemas").iterdir()] == ["orders.json"], "no draft is left"
    ran = tap()
    assert ran.returncode == 0
    assert json.loads(ran.stdout.splitlines()[0])["schema"]["properties"].keys() == schema["properties"].keys()


def test_without_a_file_it_goes_to_stdout_and_enums_are_asked_for(tap):
    done = tap("--infer", "orders", "--infer-enums")
    assert json.loads(done.stdout)["properties"]["state"] == {"type": "string", "enum": ["new", "paid"]}
    assert "from 500 records" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--infer", "nope"), "there is no stream 'nope'; the tap has: orders"),
        (("--infer", "orders", "--records", "0"), "--records: '0' is not a number of records"),
        (
            ("--infer", "orders", "--output", "nowhere/a.json"),
            "--output: 'nowhere/a.json' is not a file in an existing",
        ),
        (("--infer", "orders", "--output", "schemas"), "--output: 'schemas' is not a file"),
        (("--records", "5"), "--records belongs to --infer STREAM"),
        (("--infer-enums",), "--infer-enums belongs to --infer STREAM"),
    ],
)
def test_what_can_not_be_done_is_said_before_anything_is_read(tap, words, message):
    done = tap(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "reading" not in done.stderr


# Which records are read


class Orgs(Stream):
    name = "orgs"
    primary_keys = ("id",)
    read = 0

    def get_records(self, context):
        for number in range(1000):
            type(self).read += 1
            yield {"id": number}

    def get_child_context(self, record, context):
        return None if record["id"] == 0 else {"org": record["id"], "token": "t"}


class Users(Stream):
    name = "users"
    primary_keys = ("org", "id")
    parent_stream_type = Orgs
    #: Contexts that fail, and how.
    failures: dict = {}  # noqa: RUF012

    def get_records(self, context):
        if context["org"] in self.failures:
            raise self.failures[context["org"]]
        for number in range(3):
            yield {"id": number, "drop": number == 1}

    def post_process(self, row, context=None):
        return None if row["drop"] else {"id": row["id"], "seen_in": str(context["org"])}


class TapFamily(Tap):
    name = "tap-family"

    def discover_streams(self):
        return [Orgs(self), Users(self), type("Broken", (Stream,), {"name": "broken"})(self)]


def test_a_child_is_read_through_its_parent_and_hooks_count(monkeypatch):
    monkeypatch.setattr(Orgs, "read", 0)
    schema = TapFamily().infer_schema("users", records=5)
    assert schema["properties"] == {
        "org": {"type": "integer"},
        "id": {"type": "integer"},
        "seen_in": {"type": "string"},
    }
    assert Orgs.read < 50, "the parent is read as far as it is needed"
    assert TapFamily().infer_schema("orgs", records=5)["properties"] == {"id": {"type": "integer"}}


def test_nothing_moves_and_nothing_is_written(capfd):
    tap = TapFamily()
    tap.infer_schema("users", records=5)
    assert tap.state.get("bookmarks", {}) == {}
    assert capfd.readouterr().out == ""


def test_a_context_that_is_left_out_and_one_that_fails(monkeypatch, caplog):
    monkeypatch.setattr(Users, "failures", {1: SkippableSyncError("gone")})
    assert TapFamily().infer_schema("users", records=2)["properties"]["org"] == {"type": "integer"}
    assert "left out a context: gone" in caplog.text
    monkeypatch.setattr(Users, "failures", {1: FatalAPIError("no")})
    with pytest.raises(FatalAPIError) as caught:
        TapFamily().infer_schema("users", records=2)
    assert (caught.value.stream, caught.value.context) == ("users", {"org": 1, "token": "t"})


def test_partitions_are_read_one_after_the_other():
    class Parts(Stream):
        name = "parts"
        primary_keys = ()
        partitions = ({"part": "a"}, {"part": "b"})

        def get_records(self, context):
            yield {"value": 1 if context["part"] == "a" else "b"}

    class TapParts(TapFamily):
        def discover_streams(self):
            return [Parts(self)]

    assert TapParts().infer_schema("parts")["properties"] == {"value": {"type": ["string", "integer"]}}


def test_no_records_and_no_records_at_all():
    class Odd(Stream):
        name = "odd"
        gives: tuple = ()

        def get_records(self, context):
            return iter(self.gives)

    class TapOdd(TapFamily):
        def discover_streams(self):
            return [Odd(self)]

    with pytest.raises(DiscoveryError, match="gave no records"):
        TapOdd().infer_schema("odd")
    Odd.gives = ("text",)
    with pytest.raises(DataError, match="gave a value of type str"):
        TapOdd().infer_schema("odd")


def test_a_stream_that_has_a_schema_is_inferred_anew(caplog):
    class Known(Stream):
        name = "known"
        schema = th.PropertiesList(th.Property("id", th.StringType)).to_dict()

        def get_records(self, context):
            yield {"id": 1, "other": None}

    class TapKnown(TapFamily):
        def discover_streams(self):
            return [Known(self)]

    assert TapKnown().infer_schema("known")["properties"] == {"id": {"type": "integer"}, "other": {}}
    assert "always null, so of no known type: other" in caplog.text


def test_a_stand_in_is_for_missing_schemas_only(tmp_path):
    class Late(SchemaSource):
        def fetch_schema(self, key):
            raise DiscoveryError("not yet")

    class Own(Stream):
        name = "own"

        @property
        def schema(self):
            raise DiscoveryError("mine")

    tap = TapFamily()
    for source in (StreamSchema(SchemaDirectory(tmp_path)), Late()):
        stream = type("Made", (Stream,), {"name": "made", "schema": source, "primary_keys": ("id",)})(tap)
        stream.assume_schema()
        assert stream.schema == {"type": "object", "properties": {"id": {}}}
    with pytest.raises(DiscoveryError, match="mine"):
        Own(tap).assume_schema()
    with pytest.raises(ConfigurationError, match="there is no stream 'x'"):
        tap.infer_schema("x")


def test_an_api_is_asked_for_no_more_pages_than_needed():
    with HTTPServer(host="127.0.0.1") as server:

        def answer(request):
            page = int(request.args["page"])
            rows = [{"id": page * 10 + number, "price": 2.5, "tags": ["a"]} for number in range(10)]
            return Response(json.dumps({"data": rows}), content_type="application/json")

        server.expect_request("/things").respond_with_handler(answer)

        class Things(RESTStream):
            name = "things"
            path = "/things"
            url_base = f"http://127.0.0.1:{server.port}"
            primary_keys = ("id",)
            records_jsonpath = "$.data[*]"
            paginator = PageNumberPaginator(1, param="page")

        class TapThings(TapFamily):
            def discover_streams(self):
                return [Things(self)]

        schema = TapThings().infer_schema("things", records=25)
        assert len(server.log) == 3
    assert schema["properties"] == {
        "id": {"type": "integer"},
        "price": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string", "examples": ["a"]}},
    }


API_TAP = """
from singerkit import RESTStream, Tap


class Things(RESTStream):
    name = "things"
    path = "/things"
    url_base = "{api_url}"
    primary_keys = ("id",)


class TapThings(Tap):
    name = "tap-things"

    def discover_streams(self):
        return [Things(self)]


if __name__ == "__main__":
    TapThings.cli()
"""


def test_a_schema_is_inferred_from_recorded_answers_without_a_network(tap, tmp_path):
    (tmp_path / "tap_orders.py").write_text(API_TAP, encoding="utf-8")
    with HTTPServer(host="127.0.0.1") as server:
        server.expect_request("/things").respond_with_json([{"id": 1, "name": "a"}])
        (tmp_path / "config.json").write_text(json.dumps({"api_url": f"http://127.0.0.1:{server.port}"}))
        asked = tap("--config", "config.json", "--infer", "things", "--record", "answers")
    replayed = tap("--config", "config.json", "--infer", "things", "--replay", "answers")
    assert (asked.returncode, replayed.returncode) == (0, 0), asked.stderr + replayed.stderr
    assert json.loads(asked.stdout) == json.loads(replayed.stdout)
    assert json.loads(asked.stdout)["properties"].keys() == {"id", "name"}
