from decimal import Decimal

import msgspec
import pytest

from singerkit.records.typed import compile_conform, reading_of, typed, typed_record, widened

INTEGER_OR_NULL = {"type": ["integer", "null"]}


def accepts(its_type, text):
    try:
        msgspec.json.decode(text, type=its_type)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 3}, ["1", "2"], ["0", "3", "true", '"1"', "1.5"]),
        ({"type": "integer", "multipleOf": 1}, ["1"], ["null"]),
        ({"type": "number", "exclusiveMinimum": 0.1}, ["0.2", "1", str(10**30)], ["0.1", "0", "-1e5"]),
        ({"type": ["string", "null"], "minLength": 2, "maxLength": 3}, ['"ab"', "null"], ['"a"', '"abcd"', "5"]),
        ({"type": "boolean"}, ["true"], ["1", "null"]),
        ({"enum": ["a", 1, None]}, ['"a"', "1", "null"], ['"b"', "2", "true"]),
        ({"type": "string", "enum": ["a", 1, None]}, ['"a"'], ["1", "null"]),
        ({"enum": [True, False, "x"]}, ["true", "false", '"x"'], ["1"]),
        ({"const": "a"}, ['"a"'], ['"b"']),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["[]", '["a"]'], ["[1]", '["a","b"]']),
        ({"type": "object", "properties": {"a": INTEGER_OR_NULL}}, ["{}", '{"a":null}'], ['{"a":"x"}']),
        ({"type": "object", "required": ["a"], "properties": {"b": {}}}, ['{"a":1}'], ["{}"]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, ['{"x":"y"}', "{}"], ['{"x":1}']),
        ({"type": "object", "additionalProperties": False}, ["{}"], ['{"x":1}']),
        ({"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]}, ['"a"', "null"], ['""', "1"]),
        ({"anyOf": [{"type": "string"}, {"type": ["string", "null"]}]}, ['"a"', "null"], ["1"]),
        ({"oneOf": [{"type": "array"}, {"type": "integer"}]}, ["[1]", "1"], ['"a"', "1.5"]),
        ({"title": "anything"}, ["1", "null", "[{}]"], []),
    ],
)
def test_what_a_type_can_say(schema, good, bad):
    its_type = typed(schema)
    assert its_type is not None
    assert [text for text in good if not accepts(its_type, text)] == []
    assert [text for text in bad if accepts(its_type, text)] == []


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "string", "pattern": "a"},
        {"type": "integer", "maximum": 2**63},
        {"type": "integer", "multipleOf": 2},
        {"type": "number", "multipleOf": 0.01},
        {"type": "number", "maximum": 2**53 + 1},
        {"type": "number", "minimum": 1, "exclusiveMinimum": 2},
        {"type": "array", "uniqueItems": True},
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "object", "patternProperties": {"a": {}}},
        {"type": "object", "properties": {"a": {"not": {}}}},
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "string", "maxLength": 1}]},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"enum": [1.5]},
        {"enum": [2**64]},
        {"enum": ["\ud800"]},
        {"enum": [[1]]},
        {"enum": [True]},
        {"minLength": 1},
        {"allOf": [{"type": "string"}]},
    ],
)
def test_what_no_type_can_say(schema):
    assert typed(schema) is None


def test_conform_gives_numbers_the_form_of_the_type():
    schema = {
        "type": "object",
        "properties": {
            "i": {"type": "integer"},
            "n": {"type": "number"},
            "l": {"type": "array", "items": {"type": "number"}},
        },
        "additionalProperties": {"type": "number"},
    }
    conform = compile_conform(reading_of(schema))
    value = {"i": Decimal("2.0"), "n": Decimal("0.10"), "l": [Decimal("1E+400"), 1], "o": Decimal("1.5"), "x": "1.5"}
    assert repr(conform(value)) == repr({"i": 2, "n": 0.1, "l": [Decimal("1E+400"), 1], "o": 1.5, "x": "1.5"})


def test_nothing_to_conform():
    assert compile_conform(reading_of({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}})) is None


def record_plan(schema, keys=(), dates=()):
    return typed_record(schema, key_properties=keys, date_properties=dates, exact_numbers=False)


def test_only_what_types_do_not_say_is_left_to_judge():
    text = {"type": "string", "pattern": "a"}
    schema = {"type": "object", "properties": {"a": text, "b": INTEGER_OR_NULL}, "required": ["a"]}
    assert record_plan(schema).judged == {"properties": {"a": text}}
    assert record_plan({**schema, "minProperties": 1}).judged == {**schema, "minProperties": 1}


def test_dates_are_native_unless_they_have_to_be_judged():
    day = {"type": "string", "format": "date"}
    schema = {"type": "object", "properties": {"a": day, "b": {**day, "pattern": "^2"}, "c": {**day, "not": {}}}}
    assert record_plan(schema, dates=["a", "b", "c"]).native_dates == {"a"}
    assert record_plan({**schema, "minProperties": 1}, dates=["a", "b", "c"]).native_dates == frozenset()


def test_widened_names_unknown_properties_as_additional_ones():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": {}}}}},
        "additionalProperties": {"type": "string"},
    }
    wider = widened(schema, {"a": [{"b": 1}, {"c": 2}], "x": "y"})
    assert wider["properties"]["x"] == {"type": "string"}
    assert wider["properties"]["a"]["items"]["properties"] == {"b": {}, "c": {}}
    assert widened(schema, {"a": [{"b": 1}]}) is schema


def test_widened_leaves_closed_and_free_objects():
    closed = {"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": False}
    assert widened(closed, {"a": {"x": 1}, "y": 2}) is closed
