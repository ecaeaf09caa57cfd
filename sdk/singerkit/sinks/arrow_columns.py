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
| ``object`` that names its members | struct, of these columns |
| ``array`` with one type of ``items`` | list |
| any other ``object``, ``array`` | string: JSON text |
| several types | string: texts as they are, all else as JSON text |

A column only ever becomes wider, and stays so for the rest of the run: decimal and text hold every value before. So
does what is inside of a struct or list; an object with a member that its schema does not name, or an array where an
object should be, makes the column JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from singerkit.errors import DataError, MissingExtraError
from singerkit.files.arrow_marks import marks
from singerkit.records.columns import (
    Values,
    are_objects,
    column_schemas,
    columns_of,
    each,
    has_null,
    names_beyond,
    text_of,
    types_in,
)
from singerkit.records.json_text import json_lines
from singerkit.sinks.arrow_forms import DIGITS, LIST, STRUCT, ColumnForm, form_of
from singerkit.sql import kinds
from singerkit.sql.doubles import as_doubles
from singerkit.types import Schema

if TYPE_CHECKING:
    import pyarrow as pa

_NOTHING = type(None)


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
_TEXT_FORM = ColumnForm(kinds.TEXT)
_JSON_FORM = ColumnForm(kinds.JSON)


class ArrowColumns:
    """The columns of a stream; one thread at a time.

    Errors: ``InvalidInputLine`` for a schema without properties; ``MissingExtraError`` without pyarrow.
    """

    def __init__(self, schema: Schema, stream: str, *, nested: bool = True, marked: bool = False) -> None:
        """Find the forms.

        ``nested``: whether objects and arrays may be structs and lists. ``marked``: whether what is no value of its own
        form is JSON text that is marked as such, so that whoever reads the table can tell it from a text, and no value
        is refused.
        """
        properties = column_schemas(schema, stream)
        self.names = tuple(properties)
        self._arrow = import_arrow()
        self._marked = marked
        self._forms = {name: form_of(part, nested=nested, mixed=_wide(marked)) for name, part in properties.items()}
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
        fitted = self._fitted(self._forms[name], values)
        if fitted is None:
            raise DataError(f"the column '{name}' holds half a character (a lone surrogate), which UTF-8 can't say")
        self._forms[name], array = fitted
        return array

    def _fitted(self, form: ColumnForm, values: Values) -> Fitted | None:
        """Give the values in a form, or in the first wider one that holds every one of them exactly; and that form."""
        types = types_in(values)
        for candidate in _from(form, marked=self._marked):
            fitted = self._tried(candidate, values, types)
            if fitted is not None:
                return fitted
        return None

    def _tried(self, form: ColumnForm, values: Values, types: set[type]) -> Fitted | None:
        """Give the values in a form; None where it does not hold every one of them exactly."""
        arrow = self._arrow
        if form.name in _NESTED:
            return _NESTED[form.name](self, form, values, types)
        try:
            if types - _PLAIN.get(form.name, frozenset()):
                values = _CONVERT.get(form.name, _unfit)(values)
            return form, arrow.array(values, self._type(form))
        except (arrow.ArrowInvalid, arrow.ArrowTypeError, OverflowError, UnicodeEncodeError, _Unfit):
            return None

    def _struct(self, form: ColumnForm, values: Values, types: set[type]) -> Fitted | None:
        """Give objects as structs, where they have no other members than those of the form."""
        names = [name for name, _ in form.parts]
        if not are_objects(types) or names_beyond([value for value in values if value is not None], names):
            return None
        objects: Values = [{} if value is None else value for value in values] if has_null(values) else values
        columns = columns_of(objects, names) if objects else [[] for _ in names]
        members = [self._fitted(part, column) for (_, part), column in zip(form.parts, columns, strict=True)]
        if not _all_fit(members):
            return None
        fitted = form._replace(parts=tuple(zip(names, [part for part, _ in members], strict=True)))
        arrays, fields = [array for _, array in members], list(self._type(fitted))
        return fitted, self._arrow.StructArray.from_arrays(arrays, fields=fields, mask=self._nulls(values))

    def _list(self, form: ColumnForm, values: Values, types: set[type]) -> Fitted | None:
        """Give arrays as lists."""
        if types - {list}:
            return None
        lists = [() if value is None else value for value in values]
        ((name, item),) = form.parts
        items = self._fitted(item, list(chain.from_iterable(lists)))
        if items is None:
            return None
        fitted = form._replace(parts=((name, items[0]),))
        offsets = self._arrow.array(accumulate(map(len, lists), initial=0), self._arrow.int32())
        made = self._arrow.ListArray.from_arrays
        return fitted, made(offsets, items[1], type=self._type(fitted), mask=self._nulls(values))

    def _nulls(self, values: Values) -> pa.Array | None:
        return self._arrow.array([value is None for value in values]) if has_null(values) else None

    def _type(self, form: ColumnForm) -> pa.DataType:
        if form.name == kinds.DECIMAL:
            return self._arrow.decimal128(DIGITS, form.scale)
        if form.name == STRUCT:
            return self._arrow.struct([self._field(name, part) for name, part in form.parts])
        if form.name == LIST:
            return self._arrow.list_(self._field(*form.parts[0]))
        return _TYPES[form.name](self._arrow)

    def _field(self, name: str, form: ColumnForm) -> pa.Field:
        metadata = marks(is_json=form.name == kinds.JSON, takes_null=form.takes_null) if self._marked else None
        return self._arrow.field(name, self._type(form), metadata=metadata)

    def _made_schema(self) -> pa.Schema:
        return self._arrow.schema([self._field(name, form) for name, form in self._forms.items()])


Fitted: TypeAlias = "tuple[ColumnForm, pa.Array]"
_NESTED: Mapping[str, Callable[[ArrowColumns, ColumnForm, Values, set[type]], Fitted | None]] = {
    STRUCT: ArrowColumns._struct,
    LIST: ArrowColumns._list,
}


def _all_fit(fitted: list[Fitted | None]) -> TypeGuard[list[Fitted]]:
    return None not in fitted


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


def _wide(marked: bool) -> ColumnForm:
    """Give the form that takes every value."""
    return _JSON_FORM if marked else _TEXT_FORM


def _from(form: ColumnForm, *, marked: bool) -> Iterator[ColumnForm]:
    """Give a form, then the wider ones."""
    yield form
    if form.name == kinds.INTEGER:
        yield form._replace(name=kinds.DECIMAL)
    if form.name in (STRUCT, LIST):
        yield ColumnForm(kinds.JSON, takes_null=form.takes_null)
    elif form.name not in (_wide(marked).name, kinds.JSON):
        yield _wide(marked)._replace(takes_null=form.takes_null)


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
    """Read texts, as those inside of objects come; take a day for its first moment, as a stream map may give one."""
    return [_instant(value) for value in values]


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        if _FINER_THAN_MICROSECONDS.search(value):
            raise _Unfit
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _Unfit from None
    if value is not None and not isinstance(value, date):
        raise _Unfit
    return datetime(value.year, value.month, value.day) if type(value) is date else value


_FINER_THAN_MICROSECONDS = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")


def _as_days(values: Values) -> Values:
    return [_day(value) for value in values]


def _day(value: Any) -> Any:
    """Read a text that is written as days are; a moment is no day."""
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise _Unfit from None
        if day.isoformat() != value:
            raise _Unfit
        return day
    if value is not None and type(value) is not date:
        raise _Unfit
    return value


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
    kinds.DATE: _as_days,
}
