"""From records to the bytes of RECORD lines, a block at a time.

The fast way lets msgspec do all of it: the records of a block are converted to a struct made from the schema (which
drops unknown properties and checks the kinds of value that need care), the structs become lines in one call, and the
constant parts of the lines are put in by one ``bytes.replace``: a line end can't occur inside JSON. A block that does
not fit, for whatever reason, is conformed record by record and encoded by :mod:`singerkit.protocol.codec`; what can be
learned from it is used for the next block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from singerkit.errors import DataError, MissingKeyPropertiesError
from singerkit.protocol.codec import encode
from singerkit.records.conform import Changes, compile_conform, is_open
from singerkit.records.rows import Rows
from singerkit.types import Record, Schema

#: From a block of records to their JSON texts, each ended by a line feed.
BlockEncoder: TypeAlias = Callable[[Sequence[Record]], bytes]

_LARGEST_FLOAT = 1.7976931348623157e308
_FINITE = Annotated[float, Meta(ge=-_LARGEST_FLOAT, le=_LARGEST_FLOAT)]
_NUMBER = int | _FINITE | Decimal | None
#: In JSON a text could be taken for a decimal, and fractions are read as floats there.
_JSON_NUMBER = int | _FINITE | None
_INSTANT = Annotated[datetime, Meta(tz=True)]
#: Without this, text would be taken for a decimal or an instant where a property may be one.
_AS_THEY_ARE = (Decimal, datetime)
_MOST_MISFITS = 8
_encoder = msgspec.json.Encoder(decimal_format="number")


def line_frame(stream: str, version: int | None) -> Callable[[bytes, str], bytes]:
    """Give the function that turns JSON texts, one a line, into RECORD lines of this stream.

    Shape: it takes the texts and ``time_extracted`` (RFC 3339 text).
    """
    prefix = b'{"type":"RECORD","stream":' + encode(stream) + b',"record":'
    versioned = b"" if version is None else b',"version":' + encode(version)

    def frame(texts: bytes, time_extracted: str) -> bytes:
        suffix = versioned + b',"time_extracted":"' + time_extracted.encode() + b'"}\n'
        framed = texts.replace(b"\n", suffix + prefix)
        return b"".join((prefix, memoryview(framed)[: -len(prefix)]))

    return frame


class RecordEncoder:
    """Encodes the records of one stream; called with a block at a time, from any number of threads.

    Errors: ``MissingKeyPropertiesError`` when a record lacks a key property, ``DataError`` for what JSON can't say.
    """

    def __init__(self, schema: Schema, required: Iterable[str], changes: Changes) -> None:
        self._schema = schema
        self._required = tuple(required)
        self._changes = changes
        self._conform = compile_conform(schema, changes)
        self._instants: frozenset[str] = frozenset()
        self._strict = True
        self._misfits = 0
        self._untyped: tuple[str, ...] = ()
        self._numbers: list[Callable[[Any], Any]] = []
        self._nested_numbers = True
        self._row_type: Any = None
        self._decoded_type: Any = None
        try:
            self._row_type = self._compile()
        except (ValueError, UnicodeError):
            self._misfits = _MOST_MISFITS  # a name with a quote or a control character can't be a struct's field
        else:
            kinds = {name: _field_type(member) for name, member in schema.get("properties", {}).items()}
            self._untyped = tuple(name for name, kind in kinds.items() if _mentions(kind, Any))
            self._numbers = [attrgetter(f"f{i}") for i, kind in enumerate(kinds.values()) if kind == _NUMBER]
            self._nested_numbers = any(kind != _NUMBER and _mentions(kind, Decimal) for kind in kinds.values())

    def __call__(self, records: Sequence[Record]) -> bytes:
        """Give the JSON texts of the records, in order, each ended by a line feed."""
        if not records:
            return b""
        if isinstance(records, Rows):
            return bytes(_encoder.encode_lines(records.structs))
        if self._misfits < _MOST_MISFITS and self._untyped_are_plain(records):
            try:
                rows = msgspec.convert(records, self._row_type, builtin_types=_AS_THEY_ARE)
                texts: bytes = _encoder.encode_lines(rows)
            except (msgspec.ValidationError, ValueError, TypeError, OverflowError):
                self._learn(records)
            else:
                # A decimal that is no number is written as a bare word, which is not JSON.
                if not self._may_hold_decimals(rows) or (b"NaN" not in texts and b"Infinity" not in texts):
                    return texts
        return b"".join(map(self._encode_one, records))

    def row_type(self) -> Any:
        """Give the struct type that JSON can be decoded into and encoded from at the moment; ``None`` where it can't.

        What decodes into it is written just as if it had been decoded to dicts, with fractions as ``float``, and given
        to this encoder; a text that does not decode into it has to be.
        """
        if self._misfits >= _MOST_MISFITS or self._instants or self._row_type is None:
            return None
        known, decoded = self._decoded_type or (None, None)
        if known is not self._row_type:
            decoded = _row_type(self._schema, self._required, frozenset(), strict=self._strict, number=_JSON_NUMBER)
            self._decoded_type = self._row_type, decoded
        return decoded

    def _may_hold_decimals(self, rows: Sequence[Any]) -> bool:
        return self._nested_numbers or any(Decimal in set(map(type, map(get, rows))) for get in self._numbers)

    def _untyped_are_plain(self, records: Sequence[Record]) -> bool:
        """Tell whether the values of properties without a plain type can be written as they are."""
        return all(is_plain(record.get(name)) for name in self._untyped for record in records)

    def _encode_one(self, record: Record) -> bytes:
        conformed = self._conform(record)
        for name in self._required:
            if name not in conformed:
                raise MissingKeyPropertiesError(
                    f"a record has no '{name}', which is one of the stream's key properties"
                )
        try:
            return encode(conformed) + b"\n"
        except (TypeError, ValueError) as error:
            raise DataError(f"a record can't be written as JSON: {error}") from error

    def _compile(self) -> Any:
        row = _row_type(self._schema, self._required, self._instants, strict=self._strict)
        return list[row]  # type: ignore[valid-type]

    def _learn(self, records: Sequence[Record]) -> None:
        """Look at a block that did not fit: which properties are datetime objects, are there unknown properties."""
        self._misfits += 1
        properties = self._schema.get("properties", {})
        seen = {name for record in records for name, value in record.items() if isinstance(value, datetime)}
        unknown = not properties.keys() >= {name for record in records for name in record}
        if seen & properties.keys() != self._instants or (unknown and self._strict):
            self._instants |= seen & properties.keys()
            self._strict = self._strict and not unknown
            self._row_type = self._compile()
            return
        self._misfits += 1


def is_plain(value: Any) -> bool:
    """Tell whether JSON can say a value as it is, all the way down."""
    kind = value.__class__
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is dict:
        return all(name.__class__ is str for name in value) and all(map(is_plain, value.values()))
    if kind is list:
        return all(map(is_plain, value))
    return (kind is float and isfinite(value)) or (kind is Decimal and value.is_finite())


def _mentions(kind: Any, wanted: Any) -> bool:
    """Tell whether a field's type has another type in it, at any depth."""
    if kind is wanted:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any(_mentions(member, wanted) for member in kind.__annotations__.values())
    return any(_mentions(member, wanted) for member in get_args(kind))


def _row_type(
    schema: Schema, required: Iterable[str], instants: frozenset[str], *, strict: bool, number: Any = _NUMBER
) -> Any:
    """Give the struct type that a record of this schema converts to.

    A property that may be absent has the default ``UNSET``, which is not written. ``strict`` makes unknown properties
    an error, so that the first block that has some is noticed.
    """
    required = frozenset(required)
    fields: list[Any] = []
    names = {}
    for index, (name, member) in enumerate(schema.get("properties", {}).items()):
        field = f"f{index}"
        names[field] = name
        kind = _INSTANT | None if name in instants else _field_type(member, strict=strict, number=number)
        fields.append((field, kind) if name in required else (field, kind | UnsetType, UNSET))
    return msgspec.defstruct(
        "Row", fields, rename=names, forbid_unknown_fields=strict, kw_only=True, gc=False, frozen=True
    )


def _field_type(schema: Schema, *, strict: bool = True, number: Any = _NUMBER) -> Any:
    """Give the type of values that the encoder writes rightly as they are; what differs takes the careful way."""
    declared = schema.get("type", ())
    types = frozenset({declared} if isinstance(declared, str) else declared) - {"null"}
    if types == {"object"} and not is_open(schema):
        return _row_type(schema, (), frozenset(), strict=strict, number=number) | None
    if types == {"array"} and isinstance(schema.get("items"), dict):
        return list[_field_type(schema["items"], strict=strict, number=number)] | None  # type: ignore[misc]
    if types == {"integer"}:
        return int | None
    if types in ({"number"}, {"integer", "number"}):
        return number
    return {frozenset({"string"}): str | None, frozenset({"boolean"}): bool | None}.get(types, Any)
