"""Records as tables that fit a width: columns that don't fit go to a further table below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from singerkit.telemetry.redact import escape_controls

#: Characters of a column, where there is no room for more; and of what is shown of a value at all.
_NARROW = 24
_WIDEST = 60
_GAP = 2
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Column(NamedTuple):
    """A property of all records, as it is shown."""

    name: str
    cells: list[Text]
    is_number: bool

    @property
    def width(self) -> int:
        """Characters of its widest cell."""
        return max(cell_len(self.name), *(cell.cell_len for cell in self.cells))


def record_tables(records: Sequence[Mapping[str, Any]], names: Sequence[str], width: int) -> Iterator[Table]:
    """Give records as tables, each a row; properties in the order of ``names``, further ones after them.

    Units: ``width`` characters.
    """
    found = dict.fromkeys((*names, *(name for record in records for name in record)))
    columns = [_column(name, records) for name in found]
    numbers = len(str(len(records)))
    for band in _bands(columns, width - numbers):
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="bold"
        )
        table.add_column("", style="dim", justify="right", width=numbers)
        for column, shown in band:
            justify: Any = "right" if column.is_number else "left"
            table.add_column(Text(column.name), width=shown, no_wrap=True, overflow="ellipsis", justify=justify)
        for row in range(len(records)):
            table.add_row(str(row + 1), *(column.cells[row] for column, _ in band))
        yield table


def _column(name: str, records: Sequence[Mapping[str, Any]]) -> Column:
    values = [record[name] for record in records if record.get(name) is not None]
    is_number = bool(values) and all(isinstance(value, int | float | Decimal) and value is not True for value in values)
    return Column(escape_controls(name), [_cell(record, name) for record in records], is_number)


def _cell(record: Mapping[str, Any], name: str) -> Text:
    if name not in record:
        return Text("")
    value = record[name]
    if value is None:
        return Text("null", style="dim")
    text = escape_controls(value if isinstance(value, str) else _encode(value).decode())
    return Text(text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…")


def _bands(columns: Sequence[Column], width: int) -> Iterator[list[tuple[Column, int]]]:
    """Split columns into tables, each column with the width that it gets."""
    band: list[Column] = []
    for column in columns:
        if band and _narrow_width([*band, column]) > width:
            yield _widened(band, width)
            band = []
        band.append(column)
    if band:
        yield _widened(band, width)


def _narrow_width(columns: Sequence[Column]) -> int:
    return sum(min(column.width, _NARROW) + _GAP for column in columns)


def _widened(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Give what is left of the width to the columns that need more, a fair share each."""
    widths = [min(column.width, _NARROW) for column in columns]
    left = width - sum(widths) - _GAP * len(widths)
    while left > 0 and (short := [at for at, column in enumerate(columns) if widths[at] < column.width]):
        for at in short[:left]:
            widths[at] += 1
        left -= len(short[:left])
    return list(zip(columns, widths, strict=True))
