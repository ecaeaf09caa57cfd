from __future__ import annotations

import copy
import importlib.util

import pytest

from singerkit.errors import ConfigurationError, DataError, MappingError, MissingExtraError
from singerkit.records.map import OutputStream, plan_outputs

INTEGER = {"type": "integer"}
NAME = {"type": ["string", "null"]}
NUMBER = {"type": "number"}
TEXT = {"type": ["string", "null"]}
ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}}
SCHEMA = {
    "type": "object",
    "properties": {"id": INTEGER, "name": NAME, "n": NUMBER, "o": ADDRESS},
    "required": ["id", "name"],
}
RECORD = {"id": 1, "name": "Bob", "n": 1.5, "o": {"city": "Rome"}}
DRAFT = "https://json-schema.org/draft/2020-12/schema"

needs_faker = pytest.mark.skipif(importlib.util.find_spec("faker") is None, reason="Faker is not installed")


def plan(maps, schema=SCHEMA, keys=("id",), stream="s", **config):
    return plan_outputs(stream, schema, keys, {"stream_maps": maps, **config})


def only(maps, **config):
    (output,) = plan(maps, **config)
    return output


def mapped(maps, record=RECORD, **config):
    output = only(maps, **config)
    return record if output.step is None else output.step(record)


def names(maps, **config):
    return [output.name for output in plan(maps, **config)]


@pytest.mark.parametrize("config", [{}, {"stream_maps": None}, {"stream_maps": {}}, {"stream_maps": {"other": None}}])
def test_without_a_map_nothing_changes_and_no_step_runs(config):
    assert plan_outputs("s", SCHEMA, ["id"], config) == (OutputStream("s", SCHEMA, ("id",), None),)


def test_an_unmapped_stream_may_lack_its_key_properties_in_the_schema():
    assert plan({}, keys=("gone",))[0].key_properties == ("gone",)


def test_a_map_that_changes_no_record_has_no_step():
    assert only({"s": {"__alias__": "t"}}) == OutputStream("t", SCHEMA, ("id",), None)


def test_neither_schema_nor_record_nor_config_is_changed():
    schema, record = copy.deepcopy(SCHEMA), copy.deepcopy(RECORD)
    maps = {"__else__": None, "s": {"name": None, "x": "record", "__alias__": "t", "__filter__": "id"}}
    before = copy.deepcopy(maps)
    output = only(maps, schema=schema, flattening_enabled=True, flattening_max_depth=2)
    assert output.step is not None
    output.step(record)
    assert (schema, record, maps) == (SCHEMA, RECORD, before)


# --- properties ---


@pytest.mark.parametrize(
    ("members", "record"),
    [
        ({"x": "name"}, {**RECORD, "x": "Bob"}),
        ({"x": "'constant'"}, {**RECORD, "x": "constant"}),
        ({"name": "self.upper()"}, {**RECORD, "name": "BOB"}),
        ({"name": None}, {"id": 1, "n": 1.5, "o": {"city": "Rome"}}),
        ({"name": "__NULL__"}, {"id": 1, "n": 1.5, "o": {"city": "Rome"}}),
        ({"full": "name", "name": None}, {"id": 1, "n": 1.5, "o": {"city": "Rome"}, "full": "Bob"}),
        ({"name": "n", "n": "name"}, {"id": 1, "name": 1.5, "n": "Bob", "o": {"city": "Rome"}}),
        ({"__else__": None, "id": "id", "c": "o.city"}, {"id": 1, "c": "Rome"}),
        ({"__else__": "__NULL__", "id": "id"}, {"id": 1}),
        ({"x": "__stream_name__ + __original_stream_name__"}, {**RECORD, "x": "ss"}),
        ({"__loaded_by__": "'me'"}, {**RECORD, "__loaded_by__": "me"}),
        ({"x": "record.get('gone', 'd')"}, {**RECORD, "x": "d"}),
    ],
)
def test_properties_are_set_renamed_and_removed(members, record):
    result = mapped({"s": members})
    assert result == record
    assert list(result) == list(record)


def test_expressions_read_stream_map_config():
    maps = {"s": {"x": "md5(config['salt'] + name)", "y": "config.nested.k", "z": "config.get('none')"}}
    result = mapped(maps, stream_map_config={"salt": "S", "nested": {"k": "v"}})
    assert (result["x"], result["y"], result["z"]) == ("dd8504b1ba607ef8319e4ebca3f6c11c", "v", None)


@pytest.mark.parametrize(
    ("expression", "schema"),
    [
        ("float(n)", {"type": ["number", "null"]}),
        ("int(n)", {"type": ["integer", "null"]}),
        ("str(n)", TEXT),
        ("bool(n)", {"type": ["boolean", "null"]}),
        ("json.dumps(o)", TEXT),
        ("datetime.date.today()", {"type": ["string", "null"], "format": "date"}),
        ("datetime.datetime.now()", {"type": ["string", "null"], "format": "date-time"}),
        ("datetime.datetime.now().date()", {"type": ["string", "null"], "format": "date"}),
        ("'x'", TEXT),
        ("1", TEXT),
        ("n", {"type": ["number", "null"]}),
        ("n * 2", TEXT),
        ("o", {"type": ["object", "null"], "properties": {"city": {"type": "string"}}}),
        ("record", {**SCHEMA, "type": ["object", "null"]}),
    ],
)
def test_a_new_property_has_the_type_that_its_expression_tells(expression, schema):
    output = only({"s": {"x": expression}})
    assert output.schema == {**SCHEMA, "properties": {**SCHEMA["properties"], "x": schema}}


@pytest.mark.parametrize(
    ("expression", "schema"),
    [("'x' + 'y'", TEXT), ("n * 2", {"type": ["number", "null"]}), ("int(name)", {"type": ["integer", "null"]})],
)
def test_an_existing_property_keeps_its_type_unless_the_expression_tells_one(expression, schema):
    assert only({"s": {"n": expression}}).schema["properties"]["n"] == schema


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": ["null", "string"]}, {"type": ["null", "string"]}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        ({"oneOf": [{"type": "string"}]}, {"oneOf": [{"type": "string"}, {"type": "null"}]}),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"enum": ["a"]}, {"enum": ["a"]}),
        ({"$ref": "#/x"}, {"$ref": "#/x"}),
        ({}, TEXT),
        (
            {"type": "string", "format": "uuid", "title": "T"},
            {"type": ["string", "null"], "format": "uuid", "title": "T"},
        ),
    ],
)
def test_a_renamed_property_may_be_null_too(schema, expected):
    (output,) = plan({"s": {"x": "p"}}, schema={"properties": {"p": schema}}, keys=())
    assert output.schema["properties"]["x"] == expected


def test_a_removed_property_is_no_longer_required_and_lends_no_type():
    removed_first = only({"s": {"n": None, "x": "n", "name": None}}).schema
    assert removed_first == {
        "type": "object",
        "properties": {"id": INTEGER, "o": ADDRESS, "x": TEXT},
        "required": ["id"],
    }
    removed_last = only({"s": {"x": "n", "n": None}}).schema
    assert removed_last["properties"]["x"] == {"type": ["number", "null"]}


def test_else_null_begins_with_an_empty_schema():
    output = only({"s": {"__else__": None, "id": "id", "rec": "record"}})
    assert output.schema == {
        "type": "object",
        "properties": {"id": {"type": ["integer", "null"]}, "rec": {**SCHEMA, "type": ["object", "null"]}},
        "$schema": DRAFT,
    }


def test_key_properties_can_be_replaced_or_given_up():
    assert only({"s": {"__key_properties__": ["name", "n"]}}).key_properties == ("name", "n")
    assert only({"s": {"__key_properties__": None, "id": None}}).key_properties == ()
    replaced = only({"s": {"__key_properties__": ["k"], "k": "md5(str(id))", "id": None}})
    assert replaced.key_properties == ("k",)
    assert "id" not in replaced.schema["properties"]
    assert plan_outputs("s", SCHEMA, None, {})[0].key_properties == ()


# --- filter ---


@pytest.mark.parametrize(
    ("source", "kept"),
    [("name == 'Bob' and n > 1", True), ("n > 2", False), ("record.get('gone')", False), ("id", True), (None, True)],
)
def test_a_filter_keeps_or_drops_a_record(source, kept):
    assert mapped({"s": {"__filter__": source}}) == (RECORD if kept else None)
    result = mapped({"s": {"__filter__": source, "x": "1"}})
    assert result == ({**RECORD, "x": 1} if kept else None)


def test_a_record_left_without_properties_is_dropped():
    assert mapped({"s": {"id": None, "__key_properties__": None}}, {"id": 1}) is None


# --- streams ---


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("foo", "foo"),
        ("foo-bar", "foo-bar"),
        ("a.b", "a.b"),
        ("12", "12"),
        ("md5", "md5"),
        ("record", "record"),
        ("'a_' + __stream_name__", "a_s"),
        ("__stream_name__.upper()", "S"),
        ("f'{__stream_name__}_v'", "s_v"),
    ],
)
def test_an_alias_is_a_name_or_an_expression(alias, name):
    (output,) = plan({"s": {"__alias__": alias, "x": "__stream_name__ + '.' + __original_stream_name__"}})
    assert output.name == name
    assert output.step(RECORD)["x"] == f"{name}.s"


@pytest.mark.parametrize(
    ("maps", "expected"),
    [
        ({"s": None}, []),
        ({"s": "__NULL__"}, []),
        ({"*": None}, []),
        ({"*": None, "s": {}}, ["s"]),
        ({"s": {}, "*": None}, []),
        ({"S": None}, ["s"]),
        ({"[rst]": None}, []),
        ({"q*": None}, ["s"]),
        ({"s*": {"__alias__": "'p_' + __stream_name__"}}, ["p_s"]),
        ({"__else__": None}, []),
        ({"__else__": "__NULL__"}, []),
        ({"__else__": None, "s": {}}, ["s"]),
        ({"__else__": None, "t": {"__source__": "s"}}, ["t"]),
        ({"t": {"__source__": "s"}}, ["s", "t"]),
        ({"t": {"__source__": "s"}, "s": {"__alias__": "u"}}, ["u", "t"]),
        ({"s": None, "t": {"__source__": "s"}, "u": {"__source__": "*"}}, ["t", "u"]),
        ({"t": {"__source__": "z"}}, ["s"]),
        ({"s*": {"__source__": "s*"}}, ["s", "s"]),
    ],
)
def test_which_outputs_a_stream_has(maps, expected):
    assert names(maps) == expected


def test_several_outputs_each_have_their_own_schema_and_step():
    first, second = plan(
        {"s": {"n": None}, "t": {"__source__": "s", "__else__": None, "id": "id", "x": "__stream_name__"}}
    )
    assert (list(first.schema["properties"]), list(second.schema["properties"])) == (["id", "name", "o"], ["id", "x"])
    assert first.step(RECORD) == {"id": 1, "name": "Bob", "o": {"city": "Rome"}}
    assert second.step(RECORD) == {"id": 1, "x": "t"}


# --- flattening ---


def test_flattening_comes_after_the_map():
    output = only({"s": {"city": "o.city", "o": "o"}}, flattening_enabled=True, flattening_max_depth=1)
    assert output.schema["properties"] == {
        "id": INTEGER,
        "name": NAME,
        "n": NUMBER,
        "o__city": {"type": "string"},
        "city": TEXT,
    }
    assert output.step(RECORD) == {"id": 1, "name": "Bob", "n": 1.5, "o__city": "Rome", "city": "Rome"}


def test_a_dropped_record_is_not_flattened():
    assert mapped({"s": {"__filter__": "n > 2"}}, flattening_enabled=True, flattening_max_depth=1) is None


def test_flattening_alone_has_a_step_only_where_something_can_be_nested():
    output = only({}, flattening_enabled=True, flattening_max_depth=1, flattening_separator=".")
    assert output.step(RECORD) == {"id": 1, "name": "Bob", "n": 1.5, "o.city": "Rome"}
    flat = {"type": "object", "properties": {"id": INTEGER}, "additionalProperties": False}
    assert plan({}, schema=flat, flattening_enabled=True, flattening_max_depth=1)[0].step is None


# --- mistakes ---


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({"__x__": {}}, "__x__"),
        ({"__else__": "x"}, "__else__"),
        ({"s": 5}, "'s' must hold"),
        ({"s": "x"}, "'s' must hold"),
        ({"s": {"x": 5}}, "property 'x'.*int"),
        ({"s": {"x": ["a"]}}, "property 'x'.*list"),
        ({"s": {"x": ""}}, "property 'x'.*one expression"),
        ({"s": {"x": "a ="}}, "property 'x'.*one expression"),
        ({"s": {"x": "name.nope()"}}, "property 'x'.*'nope'"),
        ({"s": {"__filter__": ""}}, "'__filter__'.*one expression"),
        ({"s": {"__filter__": True}}, "'__filter__'.*text"),
        ({"s": {"__else__": "x"}}, "__else__"),
        ({"s": {"id": None}}, "key property 'id'.*__key_properties__"),
        ({"s": {"__else__": None, "x": "id"}}, "key property 'id'"),
        ({"s": {"__key_properties__": ["z"]}}, "key property 'z'"),
        ({"s": {"__key_properties__": "id"}}, "list of property names"),
        ({"s": {"__alias__": "a b"}}, "'__alias__'.*quotes"),
        ({"s": {"__alias__": "[1]"}}, "'__alias__'"),
        ({"s": {"__alias__": "nope(1)"}}, "'__alias__'.*'nope'"),
        ({"t": {"__source__": "s", "__alias__": "u"}}, "__source__.*__alias__"),
        ({"t": {"__source__": 1}}, "__source__"),
    ],
)
def test_a_mistake_in_the_config_says_where_and_what_to_do(maps, says):
    with pytest.raises(MappingError, match=says):
        plan(maps)


def test_an_unknown_name_is_a_mistake_where_the_schema_is_closed():
    closed = {**SCHEMA, "additionalProperties": False}
    with pytest.raises(MappingError, match=r"property 'x'.*did you mean 'name'") as caught:
        plan({"s": {"x": "nmae"}}, schema=closed)
    assert caught.value.stream == "s"
    assert mapped({"s": {"x": "more"}}, {**RECORD, "more": 1})["x"] == 1


def test_a_failing_expression_names_stream_and_property_but_no_value():
    with pytest.raises(DataError, match="property 'x'") as caught:
        mapped({"s": {"x": "int(name)"}})
    assert caught.value.stream == "s"
    assert "Bob" not in caught.value.describe()


# --- Faker ---


@pytest.mark.skipif(importlib.util.find_spec("faker") is not None, reason="Faker is installed")
def test_fake_without_faker_names_the_extra():
    with pytest.raises(MissingExtraError, match="faker") as caught:
        plan({"s": {"x": "fake.email()"}})
    assert isinstance(caught.value, ConfigurationError)
    assert mapped({"s": {"x": "fake"}}, {"fake": 1}, schema={"properties": {"fake": INTEGER}}, keys=())["x"] == 1


@needs_faker
def test_a_seed_gives_the_same_fakes_for_each_stream():
    maps = {"*": {"name": "fake.name()", "x": "fake.unique.random_int(1, 9999999) if id else None"}}
    config = {"faker_config": {"seed": 3, "locale": "de_DE"}}
    assert mapped(maps, **config) == mapped(maps, **config)


@needs_faker
@pytest.mark.parametrize(
    "source",
    [
        "fake.format('name')",
        "fake.seed(1)",
        "fake.binary(9)",
        "fake.add_provider(id)",
        "fake.random.random()",
        "fake.unique",
    ],
)
def test_only_providers_of_faker_can_be_called(source):
    with pytest.raises(MappingError):
        plan({"s": {"x": source}})


@needs_faker
@pytest.mark.parametrize(
    "source",
    ["fake.pystr(max_chars=10**9)", "fake.texts(100000, 100000)", "[fake.name() for x in list('x' * 100000)]"],
)
def test_faker_runs_under_the_budget(source):
    with pytest.raises(DataError):
        mapped({"s": {"x": source}})


def test_a_misspelt_rule_is_an_error_and_a_misspelt_property_is_noticed(caplog):
    with pytest.raises(MappingError, match=r"'__fliter__'; did you mean '__filter__'"):
        plan({"s": {"__fliter__": "False"}})
    plan({"s": {"nmae": None}})
    assert "did you mean 'name'" in caplog.text
