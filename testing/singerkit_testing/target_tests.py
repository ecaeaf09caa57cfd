"""The tests that every target class gets.

Most have it load a file of ``target_streams`` and ask no more than that it can; an author's subclass looks at what was
stored, in `validate`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from singerkit_testing.templates import TargetFileTestTemplate, TargetTestTemplate, assert_command_tells


class TargetArrayData(TargetFileTestTemplate):
    """Arrays of texts, an empty one among them."""

    name = "array_data"


class TargetCamelcaseComplexSchema(TargetFileTestTemplate):
    """Names with capitals, and properties that are one of several types."""

    name = "camelcase_complex_schema"


class TargetCamelcaseTest(TargetFileTestTemplate):
    """Names with capitals, of the stream and of its properties."""

    name = "camelcase"


class TargetCliPrintsTest(TargetTestTemplate):
    """The command tells what the target is, without a config."""

    name = "cli_prints"

    def test(self) -> None:
        """Ask for the version and for the description in both forms."""
        assert_command_tells(self.runner, self.target.name)


class TargetDuplicateRecords(TargetFileTestTemplate):
    """Keys that come again, with other values."""

    name = "duplicate_records"


class TargetEncodedStringData(TargetFileTestTemplate):
    """Texts with all that a text can hold, as values, in objects, in arrays."""

    name = "encoded_string_data"


class _Refusal(TargetFileTestTemplate):
    """A file that a target must not load as if nothing was wrong.

    Shape: `refusals` are names of exception classes, one of which must be among those that the error is of; none: any
    error will do.
    """

    refusals: tuple[str, ...] = ()

    def test(self) -> None:
        """Load the file, in vain."""
        with pytest.raises(Exception) as caught:
            super().test()
        kinds = {kind.__name__ for kind in type(caught.value).__mro__}
        is_right = not self.refusals or kinds & set(self.refusals)
        assert is_right, f"it was refused with {caught.value!r}, not with one of {self.refusals}"  # noqa: S101


class TargetInvalidSchemaTest(_Refusal):
    """A SCHEMA that is none."""

    name = "invalid_schema"


class TargetRecordBeforeSchemaTest(_Refusal):
    """A RECORD of a stream that had no SCHEMA yet."""

    name = "record_before_schema"
    refusals = ("RecordsWithoutSchemaException", "ProtocolError")


class TargetRecordMissingKeyProperty(_Refusal):
    """A RECORD without its key."""

    name = "record_missing_key_property"
    refusals = ("MissingKeyPropertiesError", "DataError")


class TargetRecordMissingRequiredProperty(TargetFileTestTemplate):
    """A RECORD without a property that its schema does not let be null, in a stream without keys."""

    name = "record_missing_required_property"


class TargetMultipleStateMessages(TargetFileTestTemplate):
    """Several STATEs: the last arrives, and all that arrive were sent, in order."""

    name = "multiple_state_messages"

    def test(self) -> None:
        """Load the file and compare."""
        super().test()
        sent = [line["value"] for line in _lines(self.singer_filepath.read_text()) if line["type"] == "STATE"]
        told = _lines(self.runner.stdout)
        assert told, "no state arrived"  # noqa: S101
        assert told[-1] == sent[-1], f"the last state is {told[-1]}, not {sent[-1]}"  # noqa: S101
        left = iter(sent)
        assert all(state in left for state in told), f"states arrived that were not sent so: {told}"  # noqa: S101


class TargetNoPrimaryKeys(TargetFileTestTemplate):
    """A stream without keys, of which two records are alike."""

    name = "no_primary_keys"


class TargetOptionalAttributes(TargetFileTestTemplate):
    """A property that may be missing."""

    name = "optional_attributes"


class TargetSchemaNoProperties(TargetFileTestTemplate):
    """Objects of which the schema names the properties, and objects of which it names none."""

    name = "schema_no_properties"


class TargetSchemaUpdates(TargetFileTestTemplate):
    """A schema that grows, four times."""

    name = "schema_updates"


class TargetPrimaryKeyUpdates(TargetFileTestTemplate):
    """A second SCHEMA of a stream with another key."""

    name = "pk_updates"


class TargetSpecialCharsInAttributes(TargetFileTestTemplate):
    """Names that no database likes."""

    name = "special_chars_in_attributes"


class TargetRecordMissingOptionalFields(TargetFileTestTemplate):
    """A later record lacks what an earlier one had."""

    name = "record_missing_fields"


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
