"""What published connectors do that nobody would think of, by the front door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest
import requests
from engine_runs import Stop, TapOutcome, within
from pytest_httpserver import HTTPServer

from singerkit import BatchSink, InlineMapper, RESTStream, Stream, Tap
from singerkit import typing as th
from singerkit.config.settings import TapCapabilities
from singerkit.errors import CatalogError, InvalidInputLine
from singerkit.protocol.messages import SchemaMessage
from singerkit.protocol.writer import MessageWriter
from singerkit.records.stream_maps import PluginMapper
from singerkit.types import TypeConformanceLevel


@pytest.fixture(scope="module")
def api() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


def run(kind: type[Stream]) -> TapOutcome:
    class TapHabits(Tap):
        name = "tap-habits"

        def discover_streams(self):
            return [kind(self)]

    tap = TapHabits()
    output = bytearray()
    failure = within(20, lambda: tap._sync(MessageWriter(output.extend), Stop()))
    return TapOutcome(bytes(output), failure, tap.bookmarks)


def test_an_answer_of_texts_that_a_hook_makes_into_records(api):
    api.expect_request("/files").respond_with_json({"data": ["a.json", "b.json"]})

    class Files(RESTStream):
        name, path, primary_keys, records_jsonpath = "files", "/files", ("path",), "$.data[*]"
        url_base = f"http://127.0.0.1:{api.port}"
        schema = th.PropertiesList(th.Property("path", th.StringType)).to_dict()

    class OwnFiles(Files):
        def parse_response(self, response):
            return ({"path": path} for path in super().parse_response(response))

    outcome = run(OwnFiles)
    assert outcome.failure is None
    assert [record["path"] for record in outcome.records("files")] == ["a.json", "b.json"]
    assert "not all JSON objects" in str(run(Files).failure), "nobody makes records of them"


@pytest.mark.parametrize("level", [TypeConformanceLevel.ROOT_ONLY, TypeConformanceLevel.NONE])
def test_nested_properties_that_the_schema_does_not_name_are_kept_where_a_stream_says_so(level):
    class Documents(Stream):
        name = "documents"
        TYPE_CONFORMANCE_LEVEL = level
        schema = json.loads(
            '{"type": "object", "properties": {"id": {"type": "integer"},'
            ' "body": {"type": "object", "properties": {"a": {"type": "string"}}}}}'
        )

        def get_records(self, context):
            yield {"id": 1, "body": {"a": "x", "b": [1, {"c": None}]}, "unknown": 1}

    record = {"id": 1, "body": {"a": "x", "b": [1, {"c": None}]}}
    outcome = run(Documents)
    assert outcome.records("documents") == [record]
    assert "additionalProperties" not in json.dumps(outcome.lines[0])


def test_a_mapper_that_maps_by_the_setting_as_mappers_do():
    config = {
        "stream_maps": {"people": {"name": "name.upper()", "__filter__": "id > 1", "__alias__": "persons"}, "x": None}
    }
    mapper = PluginMapper(plugin_config=config)
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
    for stream in ("people", "x", "other"):
        mapper.register_raw_stream_schema(stream, {"properties": properties}, ["id"])

    (persons,), removed, (other,) = (mapper.stream_maps[stream] for stream in ("people", "x", "other"))
    assert (persons.stream_alias, persons.transformed_key_properties, removed) == ("persons", ["id"], [])
    assert [persons.transform({"id": number, "name": "ann"}) for number in (1, 2)] == [None, {"id": 2, "name": "ANN"}]
    assert other.transform({"id": 1}) == {"id": 1}
    message = SchemaMessage(persons.stream_alias, persons.transformed_schema, persons.transformed_key_properties)
    assert message.to_dict()["key_properties"] == ["id"]


def test_a_mapper_that_checks_its_messages_by_itself():
    class Mapper(InlineMapper):
        name = "map-x"

    mapper = Mapper()
    mapper._assert_line_requires({"type": "RECORD", "stream": "a", "record": {}}, requires={"stream", "record"})
    with pytest.raises(InvalidInputLine, match="a RECORD has no record, stream"):
        mapper._assert_line_requires({"type": "RECORD"}, requires={"stream", "record"})


class ReadingSession(requests.Session):
    """Reads every answer, as sessions do that keep answers."""

    def send(self, request, **options):
        response = super().send(request, **options)
        assert response.content
        return response


def test_an_answer_that_the_session_has_read_already(api):
    api.expect_request("/read").respond_with_json([{"id": 1}, {"id": 2}])

    class Read(RESTStream):
        name, path, primary_keys = "read", "/read", ("id",)
        url_base = f"http://127.0.0.1:{api.port}"
        schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()
        _requests_session = ReadingSession()

    outcome = run(Read)
    assert outcome.failure is None
    assert outcome.ids("read") == [1, 2]


def test_keys_that_are_set_under_their_private_names():
    class Sheet(Stream):
        name = "sheet"
        schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("at", th.IntegerType)).to_dict()

        def __init__(self, tap):
            super().__init__(tap)
            assert (self._primary_keys, self._replication_key) == (None, None)
            self._primary_keys = ["id"]
            self._replication_key = "at"

        def get_records(self, context):
            yield {"id": 1, "at": 7}

    outcome = run(Sheet)
    assert outcome.failure is None
    assert outcome.lines[0]["key_properties"] == ["id"]
    assert outcome.state["bookmarks"]["sheet"]["replication_key_value"] == 7


def test_keys_that_a_property_computes_from_its_private_name():
    class Computed(Stream):
        name = "computed"
        schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

        @property
        def primary_keys(self):
            return self._primary_keys or ["id"]

        @primary_keys.setter
        def primary_keys(self, keys):
            self._primary_keys = keys

        def get_records(self, context):
            yield {"id": 1}

    outcome = run(Computed)
    assert outcome.failure is None
    assert outcome.lines[0]["key_properties"] == ["id"]


def test_a_plugin_takes_setup_mapper_and_gives_versions_of_packages():
    class MapperX(InlineMapper):
        name = "map-x"

    MapperX(config={"flattening_separator": "."}, setup_mapper=False)
    assert MapperX._get_package_version("pytest") == pytest.__version__
    assert MapperX._get_package_version("no-such-distribution") == "[could not be detected]"


def test_a_sink_that_is_tested_alone_logs_to_the_double_of_its_target():
    class Kept(BatchSink):
        def process_batch(self, context):
            self.logger.error("refused")

    target = MagicMock()
    Kept(target, "people", {"properties": {}}, None).process_batch({})
    target.logger.getChild.assert_called_with("people")
    target.logger.getChild("people").error.assert_called_once_with("refused")


def test_an_empty_dict_is_no_catalog_but_an_empty_file_is_a_mistake(tmp_path):
    class Numbers(Stream):
        name = "numbers"
        schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

        def get_records(self, context):
            yield {"id": 1}

    class TapNumbers(Tap):
        name = "tap-numbers"

        def discover_streams(self):
            return [Numbers(self)]

    tap = TapNumbers(config={}, catalog={}, state={})
    output = bytearray()
    assert within(20, lambda: tap._sync(MessageWriter(output.extend), Stop())) is None
    assert json.loads(output.splitlines()[1])["record"] == {"id": 1}

    (tmp_path / "catalog.json").write_text("{}")
    with pytest.raises(CatalogError, match="a list of streams"):
        TapNumbers(catalog=tmp_path / "catalog.json")


def test_a_tap_that_names_few_abilities_is_mapped_and_flattened_all_the_same():
    class Nested(Stream):
        name = "nested"
        schema = th.PropertiesList(
            th.Property("id", th.IntegerType),
            th.Property("body", th.ObjectType(th.Property("a", th.IntegerType))),
        ).to_dict()

        def get_records(self, context):
            yield {"id": 1, "body": {"a": 2}}

    class TapNested(Tap):
        name = "tap-nested"
        capabilities = (TapCapabilities.CATALOG, TapCapabilities.DISCOVER)

        def discover_streams(self):
            return [Nested(self)]

    known = {"stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth"}
    assert known <= set(TapNested.settings_schema()["properties"])
    maps = {"nested": {"id": "id + 1"}}
    tap = TapNested(config={"stream_maps": maps, "flattening_enabled": True, "flattening_max_depth": 1})
    output = bytearray()
    assert within(20, lambda: tap._sync(MessageWriter(output.extend), Stop())) is None
    assert json.loads(output.splitlines()[1])["record"] == {"id": 2, "body__a": 2}


def test_a_tap_that_came_from_singer_sdk_notices_a_wrong_config_when_it_is_constructed(capfd):
    class TapOrders(Tap):
        name = "tap-orders"

        def discover_streams(self):
            raise ValueError("bbox must have four numbers")

    class Ported(TapOrders):
        habits = "singer-sdk"

    TapOrders()
    with pytest.raises(ValueError, match="four numbers"):
        Ported()
    with pytest.raises(SystemExit) as ended:
        Ported.cli(["--discover"])
    assert ended.value.code == 1
    said = capfd.readouterr().err
    assert "four numbers" in said
    assert "Traceback" not in said


def test_a_catalog_in_the_form_of_singer_sdk_says_what_is_selected_and_reads_the_same():
    class Orders(Stream):
        name, primary_keys, replication_key = "orders", ("id",), "at"
        schema = json.loads(
            '{"type": "object", "properties": {"id": {"type": "integer", "example": 7}, "at": {"type": "string"},'
            ' "lines": {"type": "array", "items": {"type": "object", "nullable": true, "title": "A line"}}}}'
        )

        def get_records(self, context):
            yield {"id": 1, "at": "a", "lines": []}

    class Audit(Orders):
        name, replication_key, selected_by_default = "audit", None, False

    class TapOrders(Tap):
        name = "tap-orders"
        habits = "singer-sdk"

        def discover_streams(self):
            return [Orders(self), Audit(self)]

    written = json.loads(TapOrders().run_discovery())
    audit, orders = ({**entry, "metadata": entry["metadata"][-1]} for entry in written["streams"])
    assert orders["metadata"] == {
        "breadcrumb": [],
        "metadata": {
            "inclusion": "available",
            "selected": True,
            "selected-by-default": True,
            "table-key-properties": ["id"],
            "valid-replication-keys": ["at"],
        },
    }
    assert audit["metadata"]["metadata"]["selected"] is False
    assert orders["schema"]["properties"]["id"] == {"type": "integer"}
    assert orders["schema"]["properties"]["lines"]["items"] == {"type": "object", "title": "A line"}

    tap = TapOrders(catalog=written)
    output = bytearray()
    assert within(20, lambda: tap._sync(MessageWriter(output.extend), Stop())) is None
    assert {json.loads(line).get("stream") for line in output.splitlines()} - {None} == {"orders"}
    facts = [
        element["metadata"]
        for element in type("Strict", (TapOrders,), {"habits": "specification"})().catalog_dict["streams"][1][
            "metadata"
        ]
    ]
    assert not [fact for fact in facts if "selected" in fact]


def test_a_catalog_in_the_form_of_singer_sdk_stands_by_itself_and_reads_the_same():
    whole = {"$ref": "#/definitions/part"}
    part = {"type": "object", "properties": {"n": {"type": "integer"}, "inner": whole}}
    record = {
        "id": 1,
        "part": {"n": 1, "inner": {"n": 2, "inner": {"n": 3}}},
        "parts": [{"n": 4}],
        "any": [{}],
        "or": {},
    }

    properties = {
        "id": {"$ref": "#/definitions/id", "description": "Which."},
        "part": whole,
        "parts": {"type": "array", "items": whole},
        "any": True,
        "or": {"anyOf": [whole, {"type": "null"}]},
    }
    definitions = {"part": part, "id": {"type": "integer"}}
    whole_schema = {"type": "object", "definitions": definitions, "properties": properties}

    class Wholes(Stream):
        name, primary_keys = "wholes", ("id",)
        schema = whole_schema

        def get_records(self, context):
            yield record

    class TapWholes(Tap):
        name = "tap-wholes"
        habits = "singer-sdk"

        def discover_streams(self):
            return [Wholes(self)]

    text = TapWholes().run_discovery()
    assert "$ref" not in text
    written = json.loads(text)["streams"][0]["schema"]["properties"]
    found = {"type": "object", "properties": {"n": {"type": "integer"}, "inner": {}}}
    assert written == {
        "id": {"type": "integer", "description": "Which."},
        "part": found,
        "parts": {"type": "array", "items": found},
        "any": True,
        "or": {"anyOf": [found, {"type": "null"}]},
    }
    for tap in (TapWholes(), TapWholes(catalog=json.loads(text))):
        output = bytearray()
        assert within(20, lambda tap=tap, output=output: tap._sync(MessageWriter(output.extend), Stop())) is None
        messages = [json.loads(line) for line in output.splitlines()]
        assert [message["record"] for message in messages if message["type"] == "RECORD"] == [record]
