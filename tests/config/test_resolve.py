import json
import logging
import pickle
from copy import deepcopy

import pytest

from singerkit.config.resolve import read_config, read_json_object, resolve_config
from singerkit.errors import CatalogError, ConfigurationError, ConfigValidationError, StateError

SCHEMA = {
    "type": "object",
    "properties": {
        "api_key": {"type": "string", "secret": True},
        "page-size": {"type": ["integer", "null"], "default": 100},
        "ratio": {"type": "number"},
        "is_test": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "ids": {"type": "array", "items": {"type": "integer"}},
        "auth": {
            "type": "object",
            "properties": {"kind": {"type": "string", "default": "basic"}, "token": {"type": "string"}},
            "required": ["token"],
        },
        "accounts": {
            "type": "array",
            "items": {"type": "object", "properties": {"region": {"type": "string", "default": "eu"}}},
        },
    },
}


def environment(**variables):
    return read_config(["ENV"], env_prefix="TAP_X_", schema=SCHEMA, environ=variables)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def test_files_are_merged_in_order(write):
    first, second = write("a.json", '{"api_key": "a", "ratio": 1}'), write("b.json", '{"api_key": "b"}')
    config = read_config([first, str(second)], env_prefix="TAP_X_", schema=SCHEMA, environ={})
    assert config == {"api_key": "b", "ratio": 1}


@pytest.mark.parametrize("sources", [["ENV", "a.json"], ["a.json", "ENV"]])
def test_the_environment_takes_its_place_among_the_files(write, sources):
    write("a.json", '{"api_key": "file"}')
    config = read_config(sources, env_prefix="TAP_X_", schema=SCHEMA, environ={"TAP_X_API_KEY": "env"})
    assert config == {"api_key": "env" if sources[-1] == "ENV" else "file"}


def test_variables_are_converted_to_the_type_of_their_setting():
    config = environment(
        TAP_X_API_KEY="0123",
        TAP_X_PAGE_SIZE="50",
        TAP_X_RATIO="0.5",
        TAP_X_IS_TEST="Yes",
        TAP_X_TAGS='["a", "b"]',
        TAP_X_IDS="[1, 2]",
        TAP_X_AUTH='{"token": "t"}',
        TAP_X_UNKNOWN="left out",
        OTHER_API_KEY="left out",
    )
    assert config == {
        "api_key": "0123",
        "page-size": 50,
        "ratio": 0.5,
        "is_test": True,
        "tags": ["a", "b"],
        "ids": [1, 2],
        "auth": {"token": "t"},
    }


@pytest.mark.parametrize("text", ["0", "false", "OFF", "no"])
def test_variables_can_say_no(text):
    assert environment(TAP_X_IS_TEST=text) == {"is_test": False}


def test_a_list_of_texts_may_be_separated_by_commas():
    assert environment(TAP_X_TAGS="a,b") == {"tags": ["a", "b"]}


def test_an_empty_variable_is_a_text_or_nothing():
    assert environment(TAP_X_API_KEY="", TAP_X_PAGE_SIZE="") == {"api_key": ""}


def test_a_variable_of_a_wrong_type_is_named_by_validation():
    with pytest.raises(ConfigValidationError) as failure:
        resolve_config(environment(TAP_X_PAGE_SIZE="many", TAP_X_IS_TEST="perhaps"), SCHEMA)
    assert failure.value.errors == ["page-size: has to be integer or null", "is_test: has to be boolean"]


def test_a_dotenv_file_gives_variables_and_the_process_wins(write):
    write(".env", 'TAP_X_API_KEY="from file"\nTAP_X_PAGE_SIZE=7\n')
    assert environment(TAP_X_PAGE_SIZE="8") == {"api_key": "from file", "page-size": 8}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"a": 1,\n "b"}', "at line 2, column 5"),
        ("[]", "has to hold a JSON object, but holds an array"),
        ('"text"', "but holds a string"),
        ("null", "but holds null"),
        ("3", "but holds a number"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "too many digits"),
    ],
)
@pytest.mark.parametrize(("what", "error"), [("state", StateError), ("catalog", CatalogError)])
def test_a_file_that_is_no_json_object_is_an_error(write, content, said, what, error):
    with pytest.raises(error) as failure:
        read_json_object(write("x.json", content), what)
    assert said in str(failure.value)
    assert "x.json" in str(failure.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"config file '.*gone.json' can't be read: No such file"):
        read_json_object(tmp_path / "gone.json", "config")


def test_a_byte_order_mark_is_tolerated(write):
    assert read_json_object(write("x.json", b'\xef\xbb\xbf{"a": 1}'), "config") == {"a": 1}


def test_defaults_are_filled_in_at_every_depth_without_editing_the_argument():
    given = {"auth": {"token": "t"}, "accounts": [{}, {"region": "us"}]}
    before = deepcopy(given)
    assert resolve_config(given, SCHEMA) == {
        "page-size": 100,
        "auth": {"token": "t", "kind": "basic"},
        "accounts": [{"region": "eu"}, {"region": "us"}],
    }
    assert given == before


def test_a_missing_object_is_not_made_up_of_its_defaults():
    assert "auth" not in resolve_config({}, SCHEMA)


def test_without_validation_defaults_are_filled_in_all_the_same():
    schema = {**SCHEMA, "required": ["api_key"]}
    assert resolve_config({"ratio": "x"}, schema, validate=False) == {"ratio": "x", "page-size": 100}


def test_references_within_the_schema_are_followed():
    schema = {
        "properties": {"a": {"$ref": "#/$defs/part"}},
        "$defs": {"part": {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}},
    }
    assert resolve_config({"a": {}}, schema) == {"a": {"n": 1}}


def test_every_problem_is_listed_at_once():
    with pytest.raises(ConfigValidationError) as failure:
        resolve_config({"auth": {}, "ratio": "x", "ids": [1, "two"]}, {**SCHEMA, "required": ["api_key"]})
    assert sorted(failure.value.errors) == [
        "api_key: is required",
        "auth.token: is required",
        "ids[1]: has to be integer",
        "ratio: has to be number",
    ]
    assert failure.value.exit_code == 2


def test_an_unknown_setting_is_warned_of_with_the_likely_name(caplog):
    config = resolve_config({"api_keys": "v4lue", "zz_unknown": 1}, SCHEMA)
    assert config["zz_unknown"] == 1
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "unknown setting 'api_keys' is ignored; did you mean 'api_key'?",
        "unknown setting 'zz_unknown' is ignored",
    ]


def test_names_that_the_schema_leaves_open_are_not_warned_of(caplog):
    resolve_config({"x_one": 1}, {"properties": {}, "patternProperties": {"^x_": {}}})
    resolve_config({"any": "1"}, {"properties": {}, "additionalProperties": {"type": "string"}})
    assert not caplog.records


def test_the_config_reads_like_a_dict_and_can_not_be_changed():
    config = resolve_config({"api_key": "s3cret-value"}, SCHEMA)
    assert config.get("api_key") == config["api_key"] == "s3cret-value"
    assert json.loads(json.dumps(config)) == dict(config) == {**config}
    for change in (
        lambda: config.__setitem__("a", 1),
        lambda: config.update(a=1),
        lambda: config.pop("api_key"),
        lambda: config.setdefault("a", 1),
        lambda: config.clear(),
        lambda: config.__delitem__("api_key"),
        lambda: config.__ior__({}),
    ):
        with pytest.raises(TypeError, match="can't be changed"):
            change()


def test_its_repr_shows_no_secret_and_copies_keep_them_known():
    config = resolve_config({"api_key": "s3cret-value", "ratio": 2}, SCHEMA)
    for copy in (config, deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert copy == {"api_key": "s3cret-value", "ratio": 2, "page-size": 100}
        assert copy.secrets == {"s3cret-value"}
        assert "s3cret" not in f"{copy} {copy!r}"
