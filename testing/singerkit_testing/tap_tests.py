"""The tests that every tap class gets: of the tap, of each stream, of each property of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from singerkit_testing.templates import AttributeTestTemplate, StreamTestTemplate, TapTestTemplate, assert_command_tells


class TapCLIPrintsTest(TapTestTemplate):
    """The command tells what the tap is, without a config."""

    name = "cli_prints"

    def test(self) -> None:
        """Ask for the version and for the description in both forms."""
        assert_command_tells(self.runner, self.tap.name)


class TapDiscoveryTest(TapTestTemplate):
    """Discovery gives a catalog, and the tap accepts it."""

    name = "discovery"

    def test(self) -> None:
        """Discover, then make a tap with that catalog."""
        catalog = json.loads(self.tap.run_discovery())
        assert catalog["streams"], "discovery found no stream"  # noqa: S101
        again = self.runner.create({**self.runner.default_kwargs, "catalog": catalog})
        assert set(again.streams) == set(self.tap.streams)  # noqa: S101


class TapStreamConnectionTest(TapTestTemplate):
    """A record of each stream can be read."""

    name = "stream_connections"

    def test(self) -> None:
        """Run the connection test."""
        assert self.tap.run_connection_test() is not False, "the connection test failed; its log says why"  # noqa: S101


class TapValidFinalStateTest(TapTestTemplate):
    """A run that ended well leaves no trace of being under way in its state."""

    name = "valid_final_state"

    def test(self) -> None:
        """Look into the last state."""
        assert self.runner.state_messages, "the tap wrote no state"  # noqa: S101
        last = self.runner.state_messages[-1]
        assert not _has_name("progress_markers", last), f"the last state is one of a run under way: {last}"  # noqa: S101


class StreamSchemaIsValidTest(StreamTestTemplate):
    """The schema is JSON Schema."""

    name = "schema_is_valid"

    def test(self) -> None:
        """Check it against what JSON Schema says of itself."""
        from jsonschema import SchemaError, validators  # not needed by those who load no suite

        try:
            validators.validator_for(self.stream.schema).check_schema(self.stream.schema)
        except SchemaError as error:
            pytest.fail(f"the schema of '{self.stream.name}' is not valid: {error.message}")


class StreamReturnsRecordTest(StreamTestTemplate):
    """The stream gives records."""

    name = "returns_record"

    def test(self) -> None:
        """Count them."""
        if not self.stream_records and self.ignore_no_records:
            pytest.skip(f"'{self.stream.name}' gave no record, which the suite allows")
        assert self.stream_records, f"'{self.stream.name}' gave no record"  # noqa: S101


class StreamCatalogSchemaMatchesRecordTest(StreamTestTemplate):
    """Every property that the schema promises is in some record; a remark, not a failure."""

    name = "transformed_catalog_schema_matches_record"

    def test(self) -> None:
        """Compare the names."""
        absent = set(self.sent_schema.get("properties", {})) - _names(self.stream_records)
        if self.stream_records and absent:
            pytest.skip(f"no record of '{self.stream.name}' has {_listed(absent)}")


class StreamRecordSchemaMatchesCatalogTest(StreamTestTemplate):
    """Every property of a record is in the schema."""

    name = "record_schema_matches_transformed_catalog"

    def test(self) -> None:
        """Compare the names."""
        unknown = _names(self.stream_records) - set(self.sent_schema.get("properties", {}))
        assert not unknown, f"the schema of '{self.stream.name}' does not have {_listed(unknown)}"  # noqa: S101


class StreamRecordMatchesStreamSchema(StreamTestTemplate):
    """Every record is valid."""

    name = "record_matches_stream_schema"

    def test(self) -> None:
        """Validate each against the schema that was written before it."""
        from jsonschema import Draft7Validator  # not needed by those who load no suite

        validator = Draft7Validator(self.sent_schema, format_checker=Draft7Validator.FORMAT_CHECKER)
        for record in self.stream_records:
            wrong = [f"/{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(record)]
            assert not wrong, f"a record of '{self.stream.name}' is not valid: {'; '.join(wrong)}"  # noqa: S101


class StreamPrimaryKeysTest(StreamTestTemplate):
    """No two records have one key, and no key has a hole."""

    name = "primary_keys"

    def test(self) -> None:
        """Gather the keys."""
        keys = list(self.stream.primary_keys or ())
        if not keys:
            return
        found: set[str] = set()
        for record in self.stream_records:
            values = [record.get(key) for key in keys]
            assert None not in values, f"a record of '{self.stream.name}' lacks part of its key {keys}"  # noqa: S101
            identity = json.dumps(values, sort_keys=True)
            assert identity not in found, f"two records of '{self.stream.name}' have the key {identity}"  # noqa: S101
            found.add(identity)


class AttributeIsDateTimeTest(AttributeTestTemplate):
    """Date-times are date-times."""

    name = "is_datetime"

    def test(self) -> None:
        """Parse each."""
        for value in self.non_null_attribute_values:
            try:
                datetime.fromisoformat(value)
            except (TypeError, ValueError):
                pytest.fail(f"'{self.attribute_name}' of '{self.stream.name}' has a value that is no date-time")

    @classmethod
    def evaluate(cls, stream: Any, property_name: str, property_schema: dict[str, Any]) -> bool:
        """Tell whether the schema calls it so."""
        forms = [*_forms(property_schema)]
        return "date-time" in {form.get("format") for form in forms} and _only(property_schema, "string")


class _TypeTest(AttributeTestTemplate):
    """Values have the type that the schema says; for properties that have one type besides null."""

    json_type: str
    python_types: tuple[type, ...]

    def test(self) -> None:
        """Look at each."""
        for value in self.non_null_attribute_values:
            is_right = isinstance(value, self.python_types) and (bool in self.python_types or type(value) is not bool)
            assert is_right, f"'{self.attribute_name}' of '{self.stream.name}' has a {type(value).__name__}"  # noqa: S101

    @classmethod
    def evaluate(cls, stream: Any, property_name: str, property_schema: dict[str, Any]) -> bool:
        """Tell whether the schema calls it so."""
        return _only(property_schema, cls.json_type)


class AttributeIsBooleanTest(_TypeTest):
    """Booleans are booleans."""

    name = "is_boolean"
    json_type = "boolean"
    python_types = (bool,)


class AttributeIsObjectTest(_TypeTest):
    """Objects are objects."""

    name = "is_object"
    json_type = "object"
    python_types = (dict,)


class AttributeIsIntegerTest(_TypeTest):
    """Integers are integers."""

    name = "is_integer"
    json_type = "integer"
    python_types = (int,)


class AttributeIsNumberTest(_TypeTest):
    """Numbers are numbers."""

    name = "is_numeric"
    json_type = "number"
    python_types = (int, float)


class AttributeNotNullTest(AttributeTestTemplate):
    """What may not be null is there in each record."""

    name = "not_null"

    def test(self) -> None:
        """Look at each."""
        for record in self.stream_records:
            has_value = record.get(self.attribute_name) is not None
            assert has_value, f"'{self.attribute_name}' of '{self.stream.name}' is null or missing"  # noqa: S101

    @classmethod
    def evaluate(cls, stream: Any, property_name: str, property_schema: dict[str, Any]) -> bool:
        """Tell whether the schema leaves no room for null."""
        types = _types(property_schema)
        return bool(types) and "null" not in types


def _has_name(name: str, value: Any) -> bool:
    if isinstance(value, dict):
        return name in value or any(_has_name(name, part) for part in value.values())
    return isinstance(value, list) and any(_has_name(name, part) for part in value)


def _names(records: list[dict[str, Any]]) -> set[str]:
    return {name for record in records for name in record}


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(f"'{name}'" for name in names))


def _forms(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give a schema and those that it chooses between."""
    yield schema
    for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        yield from _forms(part)


def _types(schema: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for form in _forms(schema):
        listed = form.get("type", [])
        found.update([listed] if isinstance(listed, str) else listed)
    return found


def _only(schema: Mapping[str, Any], json_type: str) -> bool:
    return _types(schema) - {"null"} == {json_type}
