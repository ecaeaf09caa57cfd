"""From a column's type to the JSON Schema of its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from singerkit.types import Schema


class SQLToJSONSchema:
    """Gives the JSON Schema of the values that columns hold, null aside.

    A subclass overrides the method for the kind of type that it wants otherwise, or :meth:`to_jsonschema` for any.
    ``use_singer_decimal``: numbers with a fixed point become texts of the format ``singer.decimal``.
    """

    #: The kinds of SQLAlchemy types and the method for each; the first that fits counts.
    methods: ClassVar[Mapping[str, str]] = {
        "Boolean": "boolean_to_jsonschema",
        "Integer": "integer_to_jsonschema",
        "Float": "float_to_jsonschema",
        "Numeric": "numeric_to_jsonschema",
        "DateTime": "datetime_to_jsonschema",
        "Date": "date_to_jsonschema",
        "Time": "time_to_jsonschema",
        "String": "string_to_jsonschema",
    }

    def __init__(self, *, use_singer_decimal: bool = False) -> None:
        self.use_singer_decimal = use_singer_decimal

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SQLToJSONSchema:
        """Make one as a tap's config wants it."""
        return cls(use_singer_decimal=bool(config.get("use_singer_decimal")))

    def to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a SQLAlchemy type."""
        from sqlalchemy import types

        for kind, method in self.methods.items():
            if isinstance(column_type, getattr(types, kind)):
                schema: Schema = getattr(self, method)(column_type)
                return schema
        return json_schema_of(column_type)

    def boolean_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a boolean."""
        return {"type": "boolean"}

    def integer_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for an integer."""
        return {"type": "integer"}

    def float_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a number with a floating point."""
        return {"type": "number"}

    def numeric_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a number with a fixed point, which is written with every digit."""
        return {"type": "string", "format": "singer.decimal"} if self.use_singer_decimal else {"type": "number"}

    def datetime_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for an instant."""
        return {"type": "string", "format": "date-time"}

    def date_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a date."""
        return {"type": "string", "format": "date"}

    def time_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a time of day."""
        return {"type": "string", "format": "time"}

    def string_to_jsonschema(self, column_type: Any) -> Schema:
        """Give the schema for a text."""
        return {"type": "string"}


def json_schema_of(sql_type: Any) -> Schema:
    """Give the JSON Schema of the values that a column of a SQLAlchemy type holds, null aside.

    Numbers with a fixed point are ``number``: they are written with every digit. Bytes become hexadecimal text, a
    duration the instant that long after 1970-01-01, what has no type in JSON its text.
    """
    from sqlalchemy import types

    if isinstance(sql_type, types.ARRAY):
        item = json_schema_of(sql_type.item_type)
        for _ in range((sql_type.dimensions or 1) - 1):
            item = {"type": ["array", "null"], "items": item}
        return {"type": "array", "items": nullable(item)}
    for kind, schema in _known(types):
        if isinstance(sql_type, kind):
            return dict(schema)
    return {"type": "string"}


def _known(types: Any) -> tuple[tuple[Any, Schema], ...]:
    """Give types and schemas; the first one that fits counts."""
    return (
        (types.Boolean, {"type": "boolean"}),
        (types.Integer, {"type": "integer"}),
        (types.Numeric, {"type": "number"}),
        (types.Float, {"type": "number"}),
        (types.DateTime, {"type": "string", "format": "date-time"}),
        (types.Date, {"type": "string", "format": "date"}),
        (types.Time, {"type": "string", "format": "time"}),
        (types.Uuid, {"type": "string", "format": "uuid"}),
        (types.JSON, {}),
        (types.Interval, {"type": "string", "format": "date-time"}),
    )


def nullable(schema: Schema) -> Schema:
    """Give a schema of :func:`json_schema_of` that takes null too; one without a type takes it already."""
    types = schema.get("type")
    if types is None:
        return schema
    listed = [types] if isinstance(types, str) else list(types)
    return schema if "null" in listed else {**schema, "type": [*listed, "null"]}
