"""The tests of the mapper."""

from typing import Any

from singerkit_testing import get_mapper_test_class

from {{ cookiecutter.__module }}.mapper import {{ cookiecutter.__class }}

CONFIG = {"masked": ["email"]}

# Each rule of the Singer specification, with every kind of message.
Test{{ cookiecutter.__class }} = get_mapper_test_class({{ cookiecutter.__class }}, config=CONFIG)


def rewritten(record: dict[str, Any]) -> dict[str, Any]:
    """Give what becomes of a record."""
    mapper = {{ cookiecutter.__class }}(config=CONFIG)
    (message,) = mapper.map_record_message({"type": "RECORD", "stream": "people", "record": record})
    return dict(message.to_dict()["record"])


def test_masked_values_can_be_compared_but_not_read() -> None:
    """The same value has the same digest."""
    first, second = rewritten({"id": 1, "email": "a@example.com"}), rewritten({"id": 2, "email": "a@example.com"})
    assert first["email"] == second["email"] != "a@example.com"
    assert first["id"] == 1


def test_nothing_stays_nothing() -> None:
    """Null, and a property that is not there, are left as they are."""
    assert rewritten({"email": None}) == {"email": None}
    assert rewritten({}) == {}


def test_masked_properties_become_texts() -> None:
    """Targets are told what the digests are."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "integer"}}}
    message = {"type": "SCHEMA", "stream": "people", "schema": schema, "key_properties": ["id"]}
    (declared,) = {{ cookiecutter.__class }}(config=CONFIG).map_schema_message(message)
    properties = declared.to_dict()["schema"]["properties"]
    assert properties == {"id": {"type": "integer"}, "email": {"type": ["string", "null"]}}
