from __future__ import annotations

import json

import pytest

from singerkit.errors import MissingKeyPropertiesError
from singerkit.records.pipeline import Pipeline, compile_pipeline

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["string", "null"]},
        "home": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
    },
}
NOW = "2024-01-01T00:00:00Z"


def compiled(**config: object) -> Pipeline:
    return compile_pipeline("people", SCHEMA, ("id",), config)


def lines(pipeline: Pipeline, *records: dict) -> list[tuple[str, dict]]:
    messages = [json.loads(line) for line in pipeline.render(records, NOW).splitlines()]
    assert all(message["type"] == "RECORD" and message["time_extracted"] == NOW for message in messages)
    return [(message["stream"], message["record"]) for message in messages]


def test_without_settings_records_pass_conformed() -> None:
    pipeline = compiled()
    assert [(output.name, output.key_properties) for output in pipeline.outputs] == [("people", ("id",))]
    assert lines(pipeline, {"id": 1, "other": 2}, {"id": 2}) == [("people", {"id": 1}), ("people", {"id": 2})]
    assert pipeline.changes.dropped == {"other": 1}


def test_no_records_give_no_lines() -> None:
    assert compiled().render([], NOW) == b""
    assert compiled(stream_maps={"people": {"__filter__": "id > 5"}}).render([{"id": 1}], NOW) == b""


def test_maps_filter_rename_and_hash() -> None:
    maps = {"people": {"__filter__": "id > 1", "__alias__": "persons", "name": None, "key": "md5(str(id))"}}
    pipeline = compiled(stream_maps=maps)
    assert [output.name for output in pipeline.outputs] == ["persons"]
    assert set(pipeline.outputs[0].schema["properties"]) == {"id", "home", "key"}
    assert lines(pipeline, {"id": 1, "name": "x"}, {"id": 2, "name": "y"}) == [
        ("persons", {"id": 2, "key": "c81e728d9d4c2f636f067f89cc14862c"})
    ]


def test_a_stream_can_be_split_and_each_output_gets_its_records_in_order() -> None:
    maps = {"odd": {"__source__": "people", "__filter__": "id % 2"}, "people": {"__filter__": "not id % 2"}}
    pipeline = compiled(stream_maps=maps)
    assert [output.name for output in pipeline.outputs] == ["people", "odd"]
    found = lines(pipeline, *({"id": number} for number in range(6)))
    assert [record["id"] for stream, record in found if stream == "people"] == [0, 2, 4]
    assert [record["id"] for stream, record in found if stream == "odd"] == [1, 3, 5]


def test_a_stream_can_be_taken_away() -> None:
    pipeline = compiled(stream_maps={"people": None})
    assert pipeline.outputs == ()
    assert pipeline.render([{"id": 1}], NOW) == b""


def test_flattening_changes_schema_and_records_alike() -> None:
    pipeline = compiled(flattening_enabled=True, flattening_max_depth=2)
    assert set(pipeline.outputs[0].schema["properties"]) == {"id", "name", "home__city", "home__zip"}
    record = {"id": 1, "home": {"city": "Rome", "unknown": 1}}
    ((_, flat),) = lines(pipeline, record)
    assert flat["home__city"] == "Rome"
    assert flat.keys() <= set(pipeline.outputs[0].schema["properties"])
    assert record == {"id": 1, "home": {"city": "Rome", "unknown": 1}}


def test_maps_see_conformed_values() -> None:
    pipeline = compiled(stream_maps={"people": {"upper": "name.upper()"}})
    from uuid import UUID

    assert lines(pipeline, {"id": 1, "name": UUID(int=10)})[0][1]["upper"] == "00000000-0000-0000-0000-00000000000A"


@pytest.mark.parametrize("config", [{}, {"stream_maps": {"people": {"extra": "'x'"}}}])
def test_a_record_without_its_key_is_an_error(config: dict) -> None:
    with pytest.raises(MissingKeyPropertiesError):
        compiled(**config).render([{"id": 1}, {"name": "x"}], NOW)


def test_a_version_is_on_every_line() -> None:
    pipeline = compile_pipeline("people", SCHEMA, ("id",), {}, version=5)
    assert [json.loads(line)["version"] for line in pipeline.render([{"id": 1}, {"id": 2}], NOW).splitlines()] == [5, 5]


NESTED = {
    "properties": {
        "open": {"type": "object", "properties": {"a": {"type": "integer"}}},
        "closed": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    }
}


@pytest.mark.parametrize("config", [{}, {"stream_maps": {"people": {"extra": "1"}}}])
def test_nested_objects_keep_what_was_not_deselected_where_a_stream_asks_for_it(config):
    record = {"open": {"a": 1, "b": {"c": [1.5]}}, "closed": {"a": 1, "b": 2}, "unknown": 3}

    pipeline = compile_pipeline("people", NESTED, (), config, keeps_nested=True)

    written = json.loads(pipeline.render([record], "2026-01-01T00:00:00Z"))["record"]
    assert (written["open"], written["closed"]) == (record["open"], {"a": 1})
    assert "unknown" not in written
    assert "additionalProperties" not in pipeline.outputs[0].schema["properties"]["open"]
