"""From a batch of records to a ``pyarrow.Table``: which type a column has, and which it needs for the values to come.

| in the schema | in the table |
|---|---|
| ``integer`` | int64; decimal128(38, 0) from the first value on that is longer, then text |
| ``number`` | double; text from the first value on that no double holds exactly |
| ``multipleOf`` below 1, formats ``decimal`` and ``singer.decimal`` | decimal128(38, digits); then text |
| ``boolean`` | bool |
| ``string`` | string |
| format ``date-time`` | timestamp of microseconds in UTC; an instant without a zone counts as UTC |
| format ``date`` | date32 |
| format ``time`` | string, as a time of day may have an offset, which no column of times keeps |
| ``object``, ``array`` | string: JSON text |
| several types | string: texts as they are, all else as JSON text |

A column only ever becomes wider, and stays so for the rest of the run: decimal and text hold every value before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit.errors import DataError, MissingExtraError
from singerkit.records.columns import Values, column_schemas, columns_of, each, text_of, types_in
from singerkit.records.json_text import json_lines
from singerkit.sql import kinds
from singerkit.sql.doubles import as_doubles
from singerkit.types import Schema

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 38
_DEFAULT_SCALE = 18
_NOTHING = type(None)


class ColumnForm(NamedTuple):
    """What a column's values become.

    Shape: ``name`` of the form; ``scale``: digits behind the point, of ``decimal`` only.
    """

    name: str
    scale: int = 0


#: The Python types of the values that a form takes as they are.
_PLAIN: Mapping[str, frozenset[type]] = {
    kinds.BOOLEAN: frozenset({bool}),
    kinds.INTEGER: frozenset({int}),
    kinds.NUMBER: frozenset({int, float}),
    kinds.DECIMAL: frozenset({int, Decimal}),
    kinds.TEXT: frozenset({str}),
    kinds.INSTANT: frozenset({datetime}),
    kinds.DATE: frozenset({date}),
}
_FORM_OF_KIND = {kinds.TIME: kinds.TEXT, kinds.MIXED: kinds.TEXT}
_TEXT_FORM = ColumnForm(kinds.TEXT)


class ArrowColumns:
    """The columns of a stream; one thread at a time.

    Errors: ``InvalidInputLine`` for a schema without properties; ``MissingExtraError`` without pyarrow.
    """

    def __init__(self, schema: Schema, stream: str) -> None:
        properties = column_schemas(schema, stream)
        self.names = tuple(properties)
        self._arrow = import_arrow()
        self._forms = {name: _form_of(part) for name, part in properties.items()}
        self._schema = self._made_schema()

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the next table, as far as it is known."""
        return self._schema

    def table(self, records: Sequence[Any]) -> pa.Table:
        """Give the records as a table, a row each, in order; they are dicts or structs of the stream's type.

        Errors: ``DataError`` for a text that UTF-8 can't say.
        """
        columns = columns_of(records, self.names)
        arrays = [self._array(name, values) for name, values in zip(self.names, columns, strict=True)]
        if any(array.type != field.type for array, field in zip(arrays, self._schema, strict=True)):
            self._schema = self._made_schema()
        return self._arrow.Table.from_arrays(arrays, schema=self._schema)

    def _array(self, name: str, values: Values) -> pa.Array:
        types = types_in(values)
        for form in _from(self._forms[name]):
            array = self._tried(form, values, types)
            if array is not None:
                self._forms[name] = form
                return array
        raise DataError(f"the column '{name}' holds half a character (a lone surrogate), which UTF-8 can't say")

    def _tried(self, form: ColumnForm, values: Values, types: set[type]) -> pa.Array | None:
        """Give the values in a form; None where it does not hold every one of them exactly."""
        arrow = self._arrow
        try:
            if types - _PLAIN.get(form.name, frozenset()):
                values = _CONVERT.get(form.name, _unfit)(values)
            return arrow.array(values, self._type(form))
        except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError, UnicodeEncodeError, _Unfit):
            return None

    def _type(self, form: ColumnForm) -> pa.DataType:
        if form.name == kinds.DECIMAL:
            return self._arrow.decimal128(_DIGITS, form.scale)
        return _TYPES[form.name](self._arrow)

    def _made_schema(self) -> pa.Schema:
        return self._arrow.schema([(name, self._type(form)) for name, form in self._forms.items()])


def import_arrow() -> Any:
    """Give the pyarrow module.

    Errors: ``MissingExtraError``.
    """
    try:
        import pyarrow  # an extra, and 150 ms
    except ImportError:
        raise MissingExtraError("tables need pyarrow: pip install 'singerkit[arrow]'") from None
    return pyarrow


_TYPES: Mapping[str, Callable[[Any], Any]] = {
    kinds.BOOLEAN: lambda arrow: arrow.bool_(),
    kinds.INTEGER: lambda arrow: arrow.int64(),
    kinds.NUMBER: lambda arrow: arrow.float64(),
    kinds.TEXT: lambda arrow: arrow.string(),
    kinds.JSON: lambda arrow: arrow.string(),
    kinds.INSTANT: lambda arrow: arrow.timestamp("us", tz="UTC"),
    kinds.DATE: lambda arrow: arrow.date32(),
}


def _form_of(schema: Any) -> ColumnForm:
    kind = kinds.kind_of(schema)
    if kind != kinds.DECIMAL:
        return ColumnForm(_FORM_OF_KIND.get(kind, kind))
    scale = kinds.scale_of(schema)
    return ColumnForm(kind, _DEFAULT_SCALE if scale is None else min(scale, _DIGITS))


def _from(form: ColumnForm) -> Iterator[ColumnForm]:
    """Give a form, then the wider ones."""
    yield form
    if form.name == kinds.INTEGER:
        yield ColumnForm(kinds.DECIMAL)
    if form.name not in (kinds.TEXT, kinds.JSON):
        yield _TEXT_FORM


# -- values that a form does not take as they are ----------------------------------------------------------------------


class _Unfit(Exception):
    """Values that a form can't hold."""


def _unfit(values: Values) -> Values:
    raise _Unfit


def _as_decimals(values: Values) -> Values:
    return [None if value is None else _decimal(value) for value in values]


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise _Unfit
    try:
        return Decimal(value if isinstance(value, int | str | Decimal) else repr(value))
    except (InvalidOperation, ValueError):
        raise _Unfit from None


def _as_texts(values: Values) -> Values:
    return each(values, text_of)


def _as_json(values: Values) -> Values:
    lines = json_lines(values).split(b"\n")
    return [None if value is None else line for value, line in zip(values, lines, strict=False)]


def _as_instants(values: Values) -> Values:
    """Take a day for its first moment, as a stream map may give one."""
    if not all(value is None or isinstance(value, date) for value in values):
        raise _Unfit
    return [datetime(value.year, value.month, value.day) if type(value) is date else value for value in values]


def _as_numbers(values: Values) -> Values:
    """Give doubles, where each holds the number that was written; integers stay, for Arrow to refuse those too long."""
    if not set(map(type, values)) <= _NUMBER_TYPES:
        raise _Unfit
    doubles = as_doubles([None if type(value) is int else value for value in values])
    if doubles is None:
        raise _Unfit
    return [value if type(value) is int else near for value, near in zip(values, doubles, strict=True)]


_NUMBER_TYPES = frozenset({int, float, Decimal, _NOTHING})

_CONVERT: Mapping[str, Callable[[Values], Values]] = {
    kinds.NUMBER: _as_numbers,
    kinds.DECIMAL: _as_decimals,
    kinds.TEXT: _as_texts,
    kinds.JSON: _as_json,
    kinds.INSTANT: _as_instants,
}


# -- whole files -------------------------------------------------------------------------------------------------------


def parquet_file(stream: str, schema: Schema, texts: bytes, *, compression: str) -> bytes:
    """Give JSON lines, a record each, as a Parquet file.

    Errors: those of :class:`ArrowColumns`.
    """
    from pyarrow import BufferOutputStream, parquet

    from singerkit.records.encode import line_frame
    from singerkit.records.validate import compile_decoder

    lines = line_frame(stream, None)(texts, "")
    columns = ArrowColumns(schema, stream)
    decode = compile_decoder(schema, validate=False, keep_structs=True)
    table = columns.table([line.record for line in decode(lines)])
    made = BufferOutputStream()
    parquet.write_table(table, made, compression=compression)
    return bytes(made.getvalue())
