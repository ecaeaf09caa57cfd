"""CSV files that keep their meaning while they grow: rows go under the header that is there, columns are only added.

A file is scanned by counting quote characters: with an even count before it, a line end is the end of a row. So the
rows that are there are never parsed and written anew, and keep every byte.

Null is an empty field, an empty text is a pair of quote characters. (The only column of a file is always quoted, so
there the two look the same.)
"""

from __future__ import annotations

import csv
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from singerkit.connectors.compressed_files import CompressedFile
from singerkit.connectors.output_files import OutputFile
from singerkit.connectors.stream_parts import StreamParts
from singerkit.errors import ConfigurationError

logger = logging.getLogger("target-csv")

#: The texts of a column; None is null.
Fields = Sequence[str | None]

_LINE_END = "\r\n"
_ROW_END = re.compile(rb"\r?\n")


@dataclass(frozen=True)
class Dialect:
    """How fields stand in a file; each of the two is one ASCII character."""

    delimiter: str = ","
    quotechar: str = '"'


class CSVRows(ABC):
    """A header, and rows under it. One thread at a time."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.columns: list[str] = []

    @abstractmethod
    def add_columns(self, names: Iterable[str]) -> None:
        """Let the header have these columns, new ones at its end."""

    @abstractmethod
    def append(self, columns: Sequence[Fields]) -> None:
        """Add rows: the fields of each column, in order.

        Errors: ``UnicodeEncodeError`` for a text with a lone surrogate, which no file of UTF-8 can hold.
        """

    def _with(self, names: Iterable[str]) -> list[str]:
        """Give the columns with these among them."""
        return list(dict.fromkeys([*self.columns, *names]))

    def _header(self, columns: Iterable[str]) -> bytes:
        return self._encoded([[name] for name in columns])

    def _encoded(self, columns: Sequence[Fields]) -> bytes:
        """Write rows: what a column needs is found out for all of its fields together, which is far cheaper."""
        nothing = self._dialect.quotechar * 2 if len(columns) == 1 else ""
        rows = zip(*(self._written(fields, nothing) for fields in columns), strict=True)
        return "".join([line + _LINE_END for line in map(self._dialect.delimiter.join, rows)]).encode()

    def _written(self, fields: Fields, nothing: str) -> Sequence[str]:
        """Give the fields of a column as they stand in the file; ``nothing`` stands for null."""
        quote = self._dialect.quotechar
        together = "".join(filter(None, fields))
        if any(character in together for character in (self._dialect.delimiter, quote, "\r", "\n")):
            return [nothing if field is None else self._quoted(field) for field in fields]
        if None not in fields and "" not in fields:
            return fields  # type: ignore[return-value]  # it holds no None
        return [nothing if field is None else field or quote * 2 for field in fields]

    def _quoted(self, field: str) -> str:
        quote, delimiter = self._dialect.quotechar, self._dialect.delimiter
        if quote in field:
            return f"{quote}{field.replace(quote, quote * 2)}{quote}"
        is_plain = field and delimiter not in field and "\n" not in field and "\r" not in field
        return field if is_plain else f"{quote}{field}{quote}"


class CSVParts(CSVRows):
    """The CSV files of one stream where none can grow: each has its header.

    Errors: those of ``StreamParts``.
    """

    def __init__(self, parts: StreamParts, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._parts = parts

    def add_columns(self, names: Iterable[str]) -> None:
        """Let the header have these columns; where there are new ones, a new file begins."""
        columns = self._with(names)
        if columns != self.columns:
            self._parts.begin_with(self._header(columns))
            self.columns = columns

    def append(self, columns: Sequence[Fields]) -> None:
        """Add rows; they are durable when their part is complete."""
        self._parts.append(self._encoded(columns))


class CSVFile(CSVRows):
    """The CSV file of one stream, which keeps its meaning while it grows.

    Errors: those of ``OutputFile``, from every method; ``ConfigurationError`` for a file that is not CSV of this
    dialect, or names a column twice.
    """

    def __init__(self, file: OutputFile | CompressedFile, dialect: Dialect) -> None:
        """Read the header, and cut off a row that was not written to its end."""
        super().__init__(dialect)
        self._file = file
        self._quote = dialect.quotechar.encode()
        self._header_size = 0
        if file.size:
            self._read_header()
            self._mend_end()

    def add_columns(self, names: Iterable[str]) -> None:
        """Let the header have these columns, new ones at its end; rows that are there get empty fields for them."""
        columns = self._with(names)
        added = len(columns) - len(self.columns)
        if not added:
            return
        header = self._header(columns)
        if self.columns:
            self._file.replace(self._widened(header, added))
        else:
            self._file.append(header)
        self._header_size = len(header)
        self.columns = columns

    def append(self, columns: Sequence[Fields]) -> None:
        """Add rows; on return they are on the disk."""
        self._file.append(self._encoded(columns))

    # The file as it is found

    def _read_header(self) -> None:
        end = self._first_row_end()
        data = b""
        for chunk in self._file.chunks():
            data += chunk
            if len(data) >= end:
                break
        self._header_size = end
        try:
            self.columns = self._fields(data[:end].decode("utf-8-sig"))
        except (UnicodeDecodeError, csv.Error):
            raise ConfigurationError(
                f"'{self._file.path}' is not a CSV file in UTF-8: its header can't be read"
            ) from None
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise ConfigurationError(f"'{self._file.path}' has the column '{twice[0]}' twice")

    def _fields(self, line: str) -> list[str]:
        dialect = self._dialect
        rows = csv.reader([line], delimiter=dialect.delimiter, quotechar=dialect.quotechar)
        return next(rows, [])

    def _first_row_end(self) -> int:
        """Give where the first row ends; a file of one row without a line end gets one."""
        for start, outside in self._outside_quotes(0):
            found = outside.find(b"\n")
            if found >= 0:
                return start + found + 1
        self._file.append(_LINE_END.encode())
        return self._file.size

    def _mend_end(self) -> None:
        end = self._header_size
        for start, outside in self._outside_quotes(end):
            found = outside.rfind(b"\n")
            if found >= 0:
                end = start + found + 1
        excess = self._file.size - end
        if excess:
            logger.warning("'%s': cut off the last %d bytes, a row not written to its end", self._file.path, excess)
            self._file.cut(end)

    def _outside_quotes(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Give what stands outside quotes, from an offset on, with its offset."""
        inside = False
        for chunk in self._file.chunks(start=start):
            for number, segment in enumerate(chunk.split(self._quote)):
                if number:
                    inside = not inside
                    start += 1
                if not inside:
                    yield start, segment
                start += len(segment)

    def _widened(self, header: bytes, count: int) -> Iterator[bytes]:
        """Give the file with another header, and so many empty fields at the end of each row."""
        yield header
        fields = self._dialect.delimiter.encode() * count
        inside = False
        rest = b""
        for chunk in self._file.chunks(start=self._header_size):
            data = rest + chunk
            # A carriage return at the end may belong to a line end of which the other half is still to come.
            rest = b"\r" if data.endswith(b"\r") else b""
            segments = data.removesuffix(rest).split(self._quote)
            for number in range(inside, len(segments), 2):
                segments[number] = _ROW_END.sub(lambda end: fields + end[0], segments[number])
            inside ^= (len(segments) - 1) % 2 == 1
            yield self._quote.join(segments)
        yield rest
