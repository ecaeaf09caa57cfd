import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.config.problems import config_problems, suggestion
from singerkit.errors import ConfigurationError

AUTH = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "oauth"}, "client_id": {"type": "string"}},
            "required": ["kind", "client_id"],
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "key"}, "key": {"type": "string"}},
            "required": ["kind", "key"],
        },
    ]
}


@pytest.mark.parametrize(
    ("schema", "value", "line"),
    [
        ({"type": "integer"}, "x", "a: has to be integer"),
        ({"type": ["null", "string", "integer"]}, [], "a: has to be integer or string or null"),
        ({"enum": ["x", 1, None]}, "y", 'a: has to be one of "x", 1, null'),
        ({"const": "x"}, "y", 'a: has to be "x"'),
        ({"minimum": 3}, 1, "a: has to be at least 3"),
        ({"maximum": 3}, 4, "a: has to be at most 3"),
        ({"minLength": 3}, "ab", "a: has to have at least 3 characters"),
        ({"maxItems": 1}, [1, 2], "a: has to have at most 1 items"),
        ({"pattern": "^x"}, "y", "a: has to match the pattern ^x"),
        ({"items": {"properties": {"b": {"type": "string"}}}}, [{}, {"b": 1}], "a[1].b: has to be string"),
        ({"not": {}}, 1, "a: breaks the rule 'not' of its schema"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "a: has none of the forms that it may have"),
        (AUTH, {"kind": "oauth"}, "a.client_id: is required"),
        (AUTH, {"kind": "key", "key": 3}, "a.key: has to be string"),
        (AUTH, {"kind": "other"}, "a: has none of the forms that it may have, or several"),
        ({"properties": {"c": {}}, "additionalProperties": False}, {"b": 1}, "a.b: is not a known setting"),
        ({"propertyNames": {"pattern": "^x"}}, {"xy": 1, "b": 2}, "a.b: its name has to match the pattern ^x"),
        ({"dependentRequired": {"x": ["y"]}}, {"x": 1}, "a.y: is required"),
        (False, 1, "a: is not allowed here"),
    ],
)
def test_each_problem_is_said_with_its_path(schema, value, line):
    assert config_problems({"a": value}, {"properties": {"a": schema}}) == [line]


def test_a_name_that_is_not_known_gets_a_suggestion():
    schema = {"properties": {"api_key": {}}, "additionalProperties": False}
    assert config_problems({"apikey": 1}, schema) == ["apikey: is not a known setting; did you mean 'api_key'?"]
    nested = {"properties": {"auth": {"$ref": "#/$defs/auth"}}, "$defs": {"auth": schema}}
    assert config_problems({"auth": {"apikey": 1}}, nested) == [
        "auth.apikey: is not a known setting; did you mean 'api_key'?"
    ]
    assert suggestion("zzz", ["api_key"]) == ""


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("target-snowflake", ["target-sqlite", "target-jsonl", "tap-snow"], None),
        ("tap-shop", ["tap-sql", "target-shop"], None),
        ("target-postgresql", ["target-postgres", "tap-postgresql"], "target-postgres"),
        ("tap-cvs", ["tap-csv", "tap-sql"], "tap-csv"),
        ("tpa-csv", ["tap-csv", "tap-sql"], "tap-csv"),
        ("tap-shop", ["shop"], "shop"),
    ],
)
def test_what_all_names_of_a_kind_begin_with_is_no_likeness(name, known, meant):
    assert suggestion(name, known) == (f"; did you mean '{meant}'?" if meant else "")


def test_a_misspelt_name_is_found_beside_the_one_that_is_required():
    files = {"type": "array", "items": {"required": ["path"], "properties": {"path": {}, "patch": {}}}}
    schema = {"properties": {"files": files}}
    assert config_problems({"files": [{"pth": "a"}]}, schema) == ["files[0].path: is required; is 'pth' meant for it?"]
    assert config_problems({"files": [{"patch": "a"}]}, schema) == ["files[0].path: is required"]
    files["items"]["additionalProperties"] = False
    assert set(config_problems({"files": [{"pth": "a"}]}, schema)) == {
        "files[0].path: is required",
        "files[0].pth: is not a known setting; did you mean 'path'?",
    }


def test_formats_are_left_to_the_connector():
    assert config_problems({"d": "2024-01-01"}, {"properties": {"d": {"type": "string", "format": "date-time"}}}) == []


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.just("C4NARY"), st.just("xC4NARYx"))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("bc"), inner))
SCHEMAS = st.sampled_from(
    [
        AUTH,
        {"type": "object", "required": ["z"], "additionalProperties": False},
        {"type": "array", "items": {"type": "integer", "maximum": 1}, "minItems": 2, "uniqueItems": True},
        {"enum": [1, 2]},
        {"allOf": [{"type": "string", "maxLength": 1, "pattern": "^a"}, {"not": {"type": "string"}}]},
        {"if": {"type": "object"}, "then": {"propertyNames": {"const": "x"}}, "else": False},
        {"contains": {"type": "integer"}, "prefixItems": [{"type": "null"}], "unevaluatedItems": False},
    ]
)


@given(VALUES, SCHEMAS)
def test_no_line_holds_a_value(value, schema):
    assert "C4NARY" not in "".join(config_problems({"a": value}, {"properties": {"a": schema}}))


@pytest.mark.parametrize("broken", [{"type": "objct"}, {"required": True}, {"$ref": "http://127.0.0.1:9/x"}])
def test_a_schema_that_is_no_schema_is_the_authors_to_mend(broken):
    with pytest.raises(ConfigurationError, match="connector's own schema"):
        config_problems({}, {"properties": {"a": broken}})
