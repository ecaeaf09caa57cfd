"""From a property's JSON Schema to the SQLAlchemy type of its column, and the type that can hold what several can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from singerkit.sql import kinds

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

#: Gives a column's type for a property's schema; a type itself does for all schemas.
Handler = Callable[[Mapping[str, Any]], Any]


class JSONSchemaToSQL:
    """Gives the types of columns, without loss where a type of standard SQL allows it.

    Integers become ``BIGINT``, numbers ``DOUBLE``, those with a fixed point ``NUMERIC(38, ...)``, instants a timestamp
    with a zone; objects, arrays and what has several types become text, in which they are JSON. ``register_*`` replaces
    one of these. ``max_varchar_length``: texts become ``VARCHAR``, at most so long.
    """

    def __init__(self, *, max_varchar_length: int | None = None) -> None:
        from sqlalchemy import types

        self._max_varchar_length = max_varchar_length
        self._fallback_type: Any = types.Text
        self._of_type: dict[str, Handler] = {}
        self._of_format: dict[str, Handler] = {}
        self._of_datatype: dict[str, Handler] = {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, max_varchar_length: int | None = None) -> JSONSchemaToSQL:
        """Make one as a target's config wants it."""
        return cls(max_varchar_length=max_varchar_length)

    @property
    def fallback_type(self) -> Any:
        """The type for a schema that says nothing else."""
        return self._fallback_type

    @fallback_type.setter
    def fallback_type(self, value: Any) -> None:
        self._fallback_type = value

    def register_type_handler(self, json_type: str, handler: Any) -> None:
        """Say the column's type, or a function of the property's schema, for a JSON type."""
        self._of_type[json_type] = handler

    def register_format_handler(self, format_name: str, handler: Any) -> None:
        """Say the column's type, or a function of the property's schema, for a format of texts."""
        self._of_format[format_name] = handler

    def register_sql_datatype_handler(self, sql_datatype: str, handler: Any) -> None:
        """Say the column's type for a property with this ``x-sql-datatype``."""
        self._of_datatype[sql_datatype] = handler

    def to_sql_type(self, schema: Mapping[str, Any]) -> TypeEngine[Any]:
        """Give the column's type for a property's schema."""
        found = self._get_type_from_schema(schema)
        return self._of_union(schema) if found is None else found

    def handle_multiple_types(self, types: Sequence[str]) -> Any:
        """Give the type for values of several JSON types; text, but for integers and other numbers together."""
        if set(types) == {"integer", "number"}:
            return self._of_one("number", {"type": "number"})
        return self._invoke_handler(self._fallback_type, {})

    def handle_raw_string(self, schema: Mapping[str, Any]) -> Any:
        """Give the type for a text without a format that is known."""
        from sqlalchemy import types

        longest = schema.get("maxLength")
        if self._max_varchar_length:
            return types.VARCHAR(min(longest or self._max_varchar_length, self._max_varchar_length))
        return self._invoke_handler(self._fallback_type, schema)

    def _of_one(self, name: str, schema: Mapping[str, Any]) -> TypeEngine[Any]:
        if name in self._of_type:
            return self._invoke_handler(self._of_type[name], schema)
        if name == "string":
            handler = self._of_format.get(schema.get("format", ""))
            if handler is not None:
                return self._invoke_handler(handler, schema)
            if kinds.kind_of(schema) in (kinds.TEXT, kinds.TIME):
                text: TypeEngine[Any] = self.handle_raw_string(schema)
                return text
        return self._of_kind({**schema, "type": name})

    def _of_kind(self, schema: Mapping[str, Any]) -> TypeEngine[Any]:
        from sqlalchemy import types

        scale = kinds.scale_of(schema)
        known: Mapping[str, TypeEngine[Any]] = {
            kinds.BOOLEAN: types.Boolean(),
            kinds.INTEGER: types.BigInteger(),
            kinds.NUMBER: types.Double(),
            kinds.DECIMAL: types.Numeric(38, 18 if scale is None else min(scale, 38)),
            kinds.INSTANT: types.DateTime(timezone=True),
            kinds.DATE: types.Date(),
        }
        return known.get(kinds.kind_of(schema)) or self._invoke_handler(self._fallback_type, schema)

    def _invoke_handler(self, handler: Any, schema: Mapping[str, Any]) -> TypeEngine[Any]:
        from sqlalchemy.types import TypeEngine

        if isinstance(handler, TypeEngine):
            return handler
        made: TypeEngine[Any] = handler() if isinstance(handler, type) else handler(schema)
        return made

    def _get_type_from_schema(self, schema: Mapping[str, Any]) -> TypeEngine[Any] | None:
        """Give the column's type for a schema that names a type of its own; None where it names none."""
        datatype = schema.get("x-sql-datatype")
        if datatype in self._of_datatype:
            return self._invoke_handler(self._of_datatype[datatype], schema)
        if "type" not in schema:
            return None
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        named = [name for name in types if name != "null"]
        found: TypeEngine[Any]
        found = self._of_one(named[0], schema) if len(named) == 1 else self.handle_multiple_types(named)
        return found

    def _of_union(self, schema: Mapping[str, Any]) -> TypeEngine[Any]:
        """Give the type for a schema that lists others; that of the only one which is more than null is its own."""
        listed = [part for word in ("anyOf", "oneOf") for part in schema.get(word) or () if isinstance(part, Mapping)]
        parts = [part for part in listed if part.get("type") not in ("null", ["null"])]
        return self.to_sql_type(parts[0]) if len(parts) == 1 else self._of_kind(schema)


def widest(types: Sequence[TypeEngine[Any]]) -> TypeEngine[Any]:
    """Give the type that can hold what columns of the first and of the others can.

    The first one itself, if it can; text if nothing narrower can.
    """
    from sqlalchemy.types import Text

    found = types[0]
    for other in types[1:]:
        found = found if _holds(found, other) else other if _holds(other, found) else Text()
    return found


def _holds(wide: Any, narrow: Any) -> bool:
    from sqlalchemy import types

    if isinstance(wide, types.String):
        own = getattr(narrow, "length", None) if isinstance(narrow, types.String) else None
        return wide.length is None or (own is not None and own <= wide.length)
    if isinstance(wide, types.Integer):
        return isinstance(narrow, types.Integer | types.Boolean) and _size(wide) >= _size(narrow)
    if isinstance(wide, types.Numeric) and not isinstance(wide, types.Float):
        return isinstance(narrow, types.Integer) or (
            isinstance(narrow, types.Numeric) and not isinstance(narrow, types.Float) and _digits(wide, narrow)
        )
    if isinstance(wide, types.DateTime):
        return isinstance(narrow, types.DateTime | types.Date)
    return isinstance(narrow, _family(wide))


def _size(integer: Any) -> int:
    from sqlalchemy import types

    sizes = ((types.Boolean, 0), (types.SmallInteger, 1), (types.BigInteger, 3))
    return next((size for kind, size in sizes if isinstance(integer, kind)), 2)


def _digits(wide: Any, narrow: Any) -> bool:
    """Tell whether a number with a fixed point has room for another one's digits; no precision is room for any."""
    if wide.precision is None:
        return True
    if narrow.precision is None:
        return False
    scales = (wide.scale or 0, narrow.scale or 0)
    return bool(scales[0] >= scales[1] and wide.precision - scales[0] >= narrow.precision - scales[1])


def _family(sql_type: Any) -> type:
    """Give the type of standard SQL that a database's own type is a kind of."""
    try:
        return type(sql_type.as_generic())
    except NotImplementedError:
        return type(sql_type)
