import pytest

from singerkit.config.secrets import secret_values, without_secrets


@pytest.mark.parametrize(
    ("config", "schema"),
    [
        ({"a": "canary"}, {"a": {"type": "string", "secret": True}}),
        ({"a": "canary"}, {"a": {"type": "string", "writeOnly": True}}),
        ({"a": ["canary"]}, {"a": {"type": "string", "secret": True}}),
        ({"a": {"b": ["canary"]}}, {"a": {"type": "object", "writeOnly": True}}),
        ({"a": ["canary"]}, {"a": {"type": "array", "items": {"type": "string", "secret": True}}}),
        ({"a": {"b": "canary"}}, {"a": {"type": "object", "properties": {"b": {"secret": True}}}}),
        ({"a": [{"b": "canary"}]}, {"a": {"items": {"properties": {"b": {"secret": True}}}}}),
        ({"a": {"b": "canary"}}, {"a": {"oneOf": [{"type": "null"}, {"properties": {"b": {"secret": True}}}]}}),
        ({"a": "canary"}, {"a": {"anyOf": [{"type": "string", "secret": True}, {"type": "null"}]}}),
        ({"a": {"any": "canary"}}, {"a": {"additionalProperties": {"secret": True}}}),
        ({"password": "canary"}, {}),
        ({"refreshToken": "canary"}, {}),
        ({"x": {"client-secret": "canary"}}, {}),
        ({"api_key": "canary"}, {"api_key": {"type": ["string", "null"]}}),
        ({"credentials": {"key": "canary"}}, {"credentials": {"type": "object"}}),
        ({"url": "postgresql://user:canary@host/db"}, {"url": {"type": "string"}}),
    ],
)
def test_a_secret_is_known_wherever_it_is(config, schema):
    assert secret_values(config, {"properties": schema}) == {"canary"}


def test_numbers_are_secrets_as_the_text_of_them():
    assert secret_values({"password": 12345, "pin": True}, {"properties": {"password": {"type": "string"}}}) == {
        "12345"
    }


@pytest.mark.parametrize(
    ("config", "schema"),
    [
        ({"token_url": "https://host/token"}, {}),
        ({"password_file": "/run/x"}, {}),
        ({"max_token": 500}, {"max_token": {"type": "integer"}}),
        ({"page_token": "next"}, {"page_token": {"type": "string", "secret": False}}),
        ({"password": None}, {}),
        ({"url": "https://host/path"}, {}),
    ],
)
def test_what_only_sounds_like_a_secret_is_none(config, schema):
    assert secret_values(config, {"properties": schema}) == frozenset()


def test_a_copy_without_secrets_keeps_its_shape():
    assert without_secrets({"a": ["x", "canary"], "b": {"c": 1}}, {"canary"}) == {"a": ["x", "***"], "b": {"c": 1}}
