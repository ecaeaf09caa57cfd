"""CSV: a record a row, the first row naming the properties (RFC 4180, with the separator as declared)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from singerkit.errors import FatalAPIError
from singerkit.http.bodies.base import MAX_RECORD_BYTES, BodyDeclaration, BodyFormat, ReadBody
from singerkit.http.bodies.text_values import compile_from_text
from singerkit.types import Record

_BLOCK_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class CSVFormat(BodyFormat):
    """A body with a record a row; values become what the schema's types ask.

    ``columns`` name the properties where the first row does not. An empty field is ``null`` where the schema allows it.
    """

    delimiter: str = ","
    quotechar: str = '"'
    encoding: str = "utf-8-sig"
    columns: Sequence[str] | None = None
    kind = "CSV"

    def compile(self, declared: BodyDeclaration) -> ReadBody:
        """Give the function that reads a body."""

        def read(file: IO[bytes]) -> Iterator[list[Record]]:
            # The limit is the process's; a field may be as long as a record.
            csv.field_size_limit(MAX_RECORD_BYTES)
            text = io.TextIOWrapper(_unclosed(file), self.encoding, newline="")
            rows = csv.reader(text, delimiter=self.delimiter, quotechar=self.quotechar, strict=True)
            try:
                columns = self.columns or next(rows, None)
                to_record = self._compile_row(columns, declared)
                while block := list(islice(rows, _BLOCK_ROWS)):
                    if records := [to_record(row, rows.line_num) for row in block if row]:
                        yield records
            except (csv.Error, UnicodeDecodeError):
                raise self.malformed(f"see line {rows.line_num + 1}") from None

        return read

    def _compile_row(
        self, columns: Sequence[str] | None, declared: BodyDeclaration
    ) -> Callable[[list[str], int], Record]:
        names = [name.strip() for name in columns or ()]
        if not set(names) & set(declared.properties):
            raise self.malformed("its first line names none of the stream's properties")
        if len(set(names)) != len(names):
            raise FatalAPIError(
                "two columns of the answer have the same name: say what they are by CSVFormat(columns=)"
            )
        readers: list[tuple[str, Callable[[str], Any]]] = []
        for name in names:
            schema = declared.properties.get(name, {})
            reader = compile_from_text(schema, exact_numbers=declared.exact_numbers)
            if reader is not None:
                readers.append((name, reader))

        def to_record(row: list[str], line: int) -> Record:
            if len(row) != len(names):
                raise self.malformed(f"a row up to line {line} has {len(row)} fields, not {len(names)}")
            record: Record = dict(zip(names, row, strict=True))
            for name, reader in readers:
                record[name] = reader(record[name])
            return record

        return to_record


def _unclosed(file: IO[bytes]) -> IO[bytes]:
    """Give a file that is not closed with the text layer over it: it belongs to the answer."""
    return io.BufferedReader(_Reading(file))


class _Reading(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
