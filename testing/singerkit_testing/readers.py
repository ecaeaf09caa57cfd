"""Reading a target back: a SQL database, a folder of files, or whatever the author's function returns."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from singerkit_testing.errors import HarnessError, Unreadable
from singerkit_testing.functions import find_function
from singerkit_testing.values import equal, plain_name

__all__ = ["Reader", "ReaderSource", "equal", "reader_for"]

Row = dict[str, Any]
ReaderFunction = Callable[[str, Path], Iterable[Mapping[str, Any]]]
ReaderSource = str | Path | ReaderFunction

_METADATA = "_sdc_"
_OTHER_MESSAGES = ("SCHEMA", "STATE", "ACTIVATE_VERSION")
_FILE_ENDINGS = (".jsonl", ".ndjson", ".singer", ".json", ".csv", ".parquet")


class Reader(Protocol):
    """Gives what a target has stored.

    Shape: `text_only` says that every value comes back as a text, and nothing as an empty one (CSV).
    """

    @property
    def text_only(self) -> bool:
        """Nothing but texts, none of them empty as opposed to missing."""
        ...

    def tables(self) -> list[str]:
        """List the names of the tables or files."""
        ...

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        """Give all rows of a stream, with `metadata` also the target's own columns; empty if there is no such table."""
        ...

    def everything(self) -> list[list[Row]]:
        """Give the rows of every table there is, whatever its name; empty if the tables can't be listed."""
        ...


def reader_for(source: ReaderSource, workdir: Path) -> Reader:
    """Make the reader that a source names, with ``{workdir}`` replaced.

    Shape: ``sqlite:///file``, ``duckdb:///file`` or another SQLAlchemy URL (``?schema=name`` picks a schema); a folder
    with .jsonl, .csv or .parquet files; a function of the stream's name and the folder that gives its rows.

    Errors: ``HarnessError`` if the driver for it is not installed.
    """
    if callable(source):
        return _FunctionReader(source, workdir)
    place = str(source).replace("{workdir}", str(workdir))
    if "://" not in place:
        return _FolderReader(Path(place))
    url = urlsplit(place)
    if url.scheme.startswith("sqlite"):
        return _SQLiteReader(Path(url.path[1:]))
    if url.scheme == "duckdb":
        return _DuckDBReader(Path(url.path[1:]))
    return _SQLReader(place)


def named_source(place: str | None) -> ReaderSource | None:
    """Take a reader as a command line names it: ``module:function``, or what `reader_for` takes.

    Errors: ``HarnessError`` if there is no such function.
    """
    module, colon, function = (place or "").partition(":")
    is_function = bool(colon) and function.isidentifier() and module.replace(".", "_").isidentifier()
    return find_function(place) if is_function and place else place


def find_table(stream: str, names: Iterable[str]) -> str | None:
    """Find the table of a stream: by its name, else by what naming conventions make of it.

    A stream ``public-people`` may be stored as ``people``, the part before the dash naming the schema.
    """
    known = list(names)
    if stream in known:
        return stream
    for wanted in (plain_name(stream), plain_name(re.split("[-.]", stream)[-1])):
        matching = [name for name in known if plain_name(name) == wanted]
        if matching:
            return matching[0]
    return None


def _kept(rows: Iterable[Mapping[str, Any]], metadata: bool) -> list[Row]:
    return [dict(row) if metadata else _without_metadata(row) for row in rows]


def _without_metadata(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if not name.lower().startswith(_METADATA)}


class _FunctionReader:
    text_only = False

    def __init__(self, function: ReaderFunction, workdir: Path) -> None:
        self._function = function
        self._workdir = workdir

    def tables(self) -> list[str]:
        return []

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        return _kept(self._function(stream, self._workdir), metadata)

    def everything(self) -> list[list[Row]]:
        return []


class _SQLiteReader:
    text_only = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def tables(self) -> list[str]:
        return [name for (name,) in self._query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")[1]]

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        table = find_table(stream, self.tables())
        return [] if table is None else _kept(self._table(table), metadata)

    def everything(self) -> list[list[Row]]:
        return [self._table(table) for table in self.tables()]

    def _table(self, table: str) -> list[Row]:
        names, rows = self._query(f"SELECT * FROM {_quoted(table)}")  # noqa: S608 - quoted, and the test's own database
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _query(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        if not self._path.exists():
            return [], []
        try:
            with closing(sqlite3.connect(self._path)) as connection:
                cursor = connection.execute(statement)
                return [column[0] for column in cursor.description], cursor.fetchall()
        except sqlite3.Error as error:
            raise Unreadable(f"{self._path.name} can't be read back: {error}") from error


_Answer = tuple[list[str], list[tuple[Any, ...]]]


class _DuckDBReader:
    text_only = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = Lock()
        self._last: tuple[Any, list[tuple[str, list[Row]]]] = (None, [])

    def tables(self) -> list[str]:
        return [table for table, _ in self._content()]

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        content = self._content()
        found = find_table(stream, [table for table, _ in content])
        return next((_kept(rows, metadata) for table, rows in content if table == found), [])

    def everything(self) -> list[list[Row]]:
        return [rows for _, rows in self._content()]

    def _content(self) -> list[tuple[str, list[Row]]]:
        """Read all tables, unless the file is as it was: to open it costs more than all the answers."""
        with self._guard:
            mark = [_mark(path) for path in (self._path, self._path.with_name(f"{self._path.name}.wal"))]
            if mark != self._last[0]:
                self._last = (mark, self._read())
            return self._last[1]

    def _read(self) -> list[tuple[str, list[Row]]]:
        with self._opened() as ask:
            return [(table, self._table(ask, schema, table)) for schema, table in self._tables(ask)]

    def _table(self, ask: Callable[[str], _Answer], schema: str, table: str) -> list[Row]:
        whole = f"{_quoted(schema)}.{_quoted(table)}"
        kinds = {name: kind for name, kind, *_ in ask(f"DESCRIBE {whole}")[1]}
        columns = ", ".join(_duckdb_column(name, kind) for name, kind in kinds.items())
        names, rows = ask(f"SELECT {columns} FROM {whole}")  # noqa: S608 - quoted
        return [{name: _duckdb_value(row[at], kinds[name]) for at, name in enumerate(names)} for row in rows]

    def _tables(self, ask: Callable[[str], _Answer]) -> list[tuple[str, str]]:
        return ask("SELECT table_schema, table_name FROM information_schema.tables")[1]

    @contextmanager
    def _opened(self) -> Iterator[Callable[[str], _Answer]]:
        duckdb = _driver("duckdb", "duckdb")
        if not self._path.exists():
            yield lambda _: ([], [])
            return
        try:
            with duckdb.connect(str(self._path), read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                yield partial(_duckdb_answer, connection)
        except duckdb.Error as error:
            raise Unreadable(f"{self._path.name} can't be read back: {error}") from error


def _mark(path: Path) -> tuple[int, ...]:
    """Give what is different of a file that was written to."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _duckdb_answer(connection: Any, statement: str) -> _Answer:
    cursor = connection.execute(statement)
    return [column[0] for column in cursor.description], cursor.fetchall()


def _duckdb_column(name: str, kind: str) -> str:
    """Read instants as text: as objects they need another package, and not every instant fits into one."""
    quoted = _quoted(name)
    return f"CAST({quoted} AS VARCHAR) AS {quoted}" if kind.startswith("TIMESTAMP") else quoted


def _duckdb_value(value: Any, kind: str) -> Any:
    return json.loads(value, parse_float=Decimal) if kind == "JSON" and value is not None else value


class _SQLReader:
    text_only = False

    def __init__(self, url: str) -> None:
        self._sqlalchemy = _driver("sqlalchemy", "sqlalchemy")
        address = self._sqlalchemy.engine.make_url(url)
        self._schema = dict(parse_qsl(urlsplit(url).query)).get("schema")
        try:
            address = address.difference_update_query(["schema"])
            # No pool: a connection that is kept open has nobody who closes it.
            self._engine = self._sqlalchemy.create_engine(address, poolclass=self._sqlalchemy.pool.NullPool)
        except ImportError as error:
            raise HarnessError(f"the driver for {address.drivername} is not installed: {error.name}") from error

    def tables(self) -> list[str]:
        return list(self._ask(lambda: self._sqlalchemy.inspect(self._engine).get_table_names(schema=self._schema)))

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        table = find_table(stream, self.tables())
        return [] if table is None else _kept(self._ask(lambda: self._select(table)), metadata)

    def everything(self) -> list[list[Row]]:
        return [self._ask(partial(self._select, table)) for table in self.tables()]

    def _select(self, table: str) -> list[Row]:
        try:
            return self._selected(table, self._sqlalchemy.text("*"))
        except (ValueError, OverflowError):  # an instant that no Python object can hold, as the year 10000
            return self._selected(table, *self._columns_with_instants_as_text(table))

    def _selected(self, table: str, *columns: Any) -> list[Row]:
        alchemy = self._sqlalchemy
        schema = None if self._schema is None else alchemy.sql.quoted_name(self._schema, quote=True)
        whole = alchemy.table(alchemy.sql.quoted_name(table, quote=True), schema=schema)
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(alchemy.select(*columns).select_from(whole)).mappings()]

    def _columns_with_instants_as_text(self, table: str) -> Iterator[Any]:
        alchemy = self._sqlalchemy
        for column in alchemy.inspect(self._engine).get_columns(table, schema=self._schema):
            plain = alchemy.column(alchemy.sql.quoted_name(column["name"], quote=True))
            is_instant = isinstance(column["type"], alchemy.types.Date | alchemy.types.DateTime)
            yield alchemy.cast(plain, alchemy.Text).label(column["name"]) if is_instant else plain

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except self._sqlalchemy.exc.SQLAlchemyError as error:
            raise Unreadable(f"the database can't be read back: {str(error).splitlines()[0]}") from error
        finally:
            self._engine.dispose()


class _FolderReader:
    """Reads files named after streams: ``people.jsonl``, ``people-20240102T030405.csv``, ``people/0001.parquet``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def text_only(self) -> bool:
        return any(_ending(path) == ".csv" for path in self._files())

    def tables(self) -> list[str]:
        return sorted({_stem(path, self._folder) for path in self._files()})

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        for stem_of in (_whole_stem, _undated_stem, _stem):  # a stream's own name may end like a date or a number
            table = find_table(stream, {stem_of(path, self._folder) for path in self._files()})
            if table is not None:
                files = [path for path in self._files() if stem_of(path, self._folder) == table]
                return _kept((row for path in files for row in _read_file(path)), metadata)
        return []

    def everything(self) -> list[list[Row]]:
        return [[dict(row) for row in _read_file(path)] for path in self._files()]

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.rglob("*") if path.is_file() and _ending(path) in _FILE_ENDINGS)


def _ending(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return Path(name).suffix.lower()


_DATE = re.compile(r"[-_.](\d{8}|\d{4}-\d\d-\d\d)[\dTtZz_.:+-]*$")
_WRITTEN_AT = re.compile(r"[-_.]\d[\dTtZz_.:+-]*$")


def _whole_stem(path: Path, folder: Path) -> str:
    del folder  # called like _stem
    return path.name.removesuffix(".gz")[: -len(_ending(path))]


def _undated_stem(path: Path, folder: Path) -> str:
    return _DATE.sub("", _whole_stem(path, folder))


def _stem(path: Path, folder: Path) -> str:
    stem = _WRITTEN_AT.sub("", _whole_stem(path, folder))
    inside = path.relative_to(folder).parts[:-1]
    return inside[-1] if inside and not re.search("[A-Za-z]", stem) else stem


def _read_file(path: Path) -> Iterator[Mapping[str, Any]]:
    ending = _ending(path)
    if ending == ".parquet":
        yield from _driver("pyarrow.parquet", "pyarrow").read_table(path).to_pylist()
        return
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (_csv_rows if ending == ".csv" else _json_rows)(content.decode("utf-8"), path)


def _csv_rows(text: str, path: Path) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    try:
        header, *lines = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    except csv.Error as error:
        raise Unreadable(f"{path.name} is no CSV: {error}") from error
    for number, line in enumerate(lines, 2):
        if len(line) > len(header):
            raise Unreadable(f"{path.name}: row {number} has {len(line)} values under {len(header)} names")
        yield dict(zip(header, line, strict=False))


def _json_rows(text: str, path: Path) -> Iterator[Mapping[str, Any]]:
    if text.lstrip().startswith("[") and path.name.removesuffix(".gz").endswith(".json"):
        yield from _json(text, path)
        return
    holds_messages = path.name.removesuffix(".gz").endswith(".singer")
    for line in filter(str.strip, text.split("\n")):
        row = _json(line, path)
        if row.get("type") == "RECORD" and isinstance(row.get("record"), dict):
            yield row["record"]
        elif not (holds_messages and row.get("type") in _OTHER_MESSAGES):
            yield row


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_json)
    except ValueError as error:
        raise Unreadable(f"{path.name} holds what is no JSON: {error}") from error


def _no_json(token: str) -> Any:
    raise ValueError(f"{token} is no JSON")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _driver(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise HarnessError(f"reading this back needs {package}: pip install {package}") from error
