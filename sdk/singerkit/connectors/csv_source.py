"""Reading CSV files: row by row, with the line each row begins at, and one clear error for what can't be read."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO

from singerkit.errors import ConfigurationError, DataError, FatalSyncError, SingerKitError

#: Characters that one field may have; more is rather a quote that is never closed.
_LONGEST_FIELD = 64 * 1024 * 1024
#: Stands behind the last line, so that a row which goes on beyond it is noticed; of characters that no text has.
_END = "\ue000\ue001\ue000"
_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_DIALECT_SETTINGS = ("delimiter", "quotechar", "escapechar", "doublequote", "skipinitialspace", "strict")


class Row(NamedTuple):
    """A row of a file.

    Units: ``line_number`` counts lines, not rows, from 1.
    """

    path: str
    line_number: int
    fields: list[str]


@dataclass(frozen=True)
class Source:
    """The files of one stream, and how they are written."""

    entity: str
    path: str
    encoding: str
    dialect: Mapping[str, Any]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Source:
        """Take in an entry of the setting ``files``.

        Errors: ``ConfigurationError`` for an encoding that does not exist, or a dialect that can't be.
        """
        entity = str(definition["entity"])
        encoding = definition.get("encoding") or "utf-8"
        try:
            name = codecs.lookup(encoding).name
        except LookupError:
            raise ConfigurationError(f"files: '{entity}': there is no encoding '{encoding}'") from None
        # A mark of UTF-8 at the beginning is none of the first column's name.
        encoding = "utf-8-sig" if name == "utf-8" else encoding
        dialect = {key: definition[key] for key in _DIALECT_SETTINGS if definition.get(key) is not None}
        try:
            csv.reader([], **dialect)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"files: '{entity}': {error}") from None
        return cls(entity, str(definition["path"]), encoding, dialect)

    def files(self) -> list[str]:
        """Give the paths of the files, sorted: one, those in a folder and its subfolders, or those of a pattern.

        Errors: ``ConfigurationError`` when there are none.
        """
        path = Path(self.path)
        if path.is_dir():
            found = [str(file) for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(_ENDINGS)]
        elif path.exists():
            found = [self.path]
        else:
            found = [file for file in glob(self.path, recursive=True) if os.path.isfile(file)]  # noqa: PTH113, PTH207
        if not found:
            raise ConfigurationError(f"files: '{self.entity}': there is no file '{self.path}'")
        return sorted(found)

    def header(self, path: str) -> list[str]:
        """Give the names of a file's columns: each one filled and different; an empty file has none.

        Errors: those of :meth:`rows`.
        """
        with _open(path, self.encoding) as text:
            for row in self._rows(path, text):
                return distinct_names(row.fields)
        return []

    def rows(self, path: str) -> Iterator[Row]:
        """Give the rows of a file after its header; lines that are empty are passed over.

        Errors: ``DataError`` with file and line for a row of another length than the header, a text that is not in the
        encoding, a field that is not CSV; ``FatalSyncError`` for a file that can't be read.
        """
        with _open(path, self.encoding) as text:
            rows = self._rows(path, text)
            width = len(next(rows, Row(path, 1, [])).fields)
            for row in rows:
                if len(row.fields) != width:
                    problem = f"the row has {len(row.fields)} fields, the header has {width}"
                    raise DataError(f"'{path}', line {row.line_number}: {problem}")
                yield row

    def _rows(self, path: str, text: TextIO) -> Iterator[Row]:
        csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(chain(text, (_END,)), **self.dialect)
        while True:
            line_number = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise DataError(f"'{path}', line {line_number}: the row is not CSV: {error}") from None
            except UnicodeError:
                line = _undecodable_line(path, self.encoding)
                raise DataError(f"'{path}', line {line}: the text is not {self.encoding}: set 'encoding'") from None
            except (OSError, EOFError, zlib.error) as error:
                raise _unreadable(path, error) from None
            if fields is None or fields == [_END]:
                return
            if fields and fields[-1].endswith(_END):
                problem = "the file ends within this row: is a quote of it never closed?"
                raise DataError(f"'{path}', line {line_number}: {problem}")
            if fields:
                yield Row(path, line_number, fields)


def distinct_names(fields: Sequence[str]) -> list[str]:
    """Give names that are filled and different: ``column_3`` where the third has none, ``name_2`` for a second one."""
    taken = set(fields)
    names: list[str] = []
    for position, field in enumerate(fields, start=1):
        name = field or f"column_{position}"
        number = 2
        while name in names or (name != field and name in taken):
            name = f"{field or f'column_{position}'}_{number}"
            number += 1
        names.append(name)
    return names


@contextmanager
def _open(path: str, encoding: str) -> Iterator[TextIO]:
    with _open_bytes(path) as data, io.TextIOWrapper(data, encoding=encoding, newline="") as text:
        yield text


@contextmanager
def _open_bytes(path: str) -> Iterator[IO[bytes]]:
    try:
        file: IO[bytes] = gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb")  # type: ignore[assignment]  # noqa: PTH123, SIM115
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        yield file


def _unreadable(path: str, error: Exception) -> SingerKitError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return FatalSyncError(f"'{path}' can't be read: {reason}")


def _undecodable_line(path: str, encoding: str) -> int:
    """Find the line on which a file is not in its encoding, by reading it once more."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    with _open_bytes(path) as data:
        while chunk := data.read(4096):
            for position in range(len(chunk)):
                try:
                    lines += decoder.decode(chunk[position : position + 1]).count("\n")
                except UnicodeError:
                    return lines
    return lines
