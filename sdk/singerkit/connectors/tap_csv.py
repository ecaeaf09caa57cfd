"""tap-csv: reads CSV files, each stream from one file, from a folder of them, or from those of a pattern.

Every column is text unless ``infer_types`` is set. An empty field is an empty text; in a column of another type it is
null. Files are read in the order of their names, row by row, however large they are; ``.gz`` files are unpacked on the
way. A file may have columns that others of its stream lack; its records lack them too. The catalog names all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any

from singerkit import Stream, Tap
from singerkit import typing as th
from singerkit.config.problems import config_problems
from singerkit.connectors.csv_source import Row, Source
from singerkit.connectors.csv_types import TEXT, ColumnType, infer
from singerkit.errors import ConfigurationError, ConfigValidationError

SOURCE_FILE, SOURCE_MTIME, SOURCE_LINE = "_sdc_source_file", "_sdc_source_file_mtime", "_sdc_source_lineno"

_METADATA = (
    th.Property(SOURCE_FILE, th.StringType),
    th.Property(SOURCE_MTIME, th.DateTimeType),
    th.Property(SOURCE_LINE, th.IntegerType),
)


class CSVStream(Stream):
    """The rows of one entry of the setting ``files``."""

    def __init__(self, tap: TapCSV, definition: Mapping[str, Any]) -> None:
        self._source = Source.of(definition)
        super().__init__(tap, name=self._source.entity)
        self.primary_keys = tuple(definition.get("keys") or ())
        self.replication_key = definition.get("replication_key") or None

    @cached_property
    def schema(self) -> dict[str, Any]:
        """What the headers and, where types are asked for, the rows tell.

        Errors: ``ConfigurationError`` for a key that is no column; those of ``Source``.
        """
        for name in (*(self.primary_keys or ()), *filter(None, [self.replication_key])):
            if name not in self._types:
                raise ConfigurationError(f"files: '{self.name}': there is no column '{name}'", stream=self.name)
        columns = [th.Property(name, column.property_type) for name, column in self._types.items()]
        metadata = _METADATA if self._has_metadata else ()
        return th.PropertiesList(*columns, *metadata).to_dict()

    @cached_property
    def _has_metadata(self) -> bool:
        return bool(self.config.get("add_metadata_columns"))

    @cached_property
    def _headers(self) -> dict[str, list[str]]:
        return {path: self._source.header(path) for path in self._source.files()}

    @cached_property
    def _types(self) -> dict[str, ColumnType]:
        names = list(dict.fromkeys(name for header in self._headers.values() for name in header))
        asked = names if self.config.get("infer_types") else [name for name in names if name == self.replication_key]
        return {**dict.fromkeys(names, TEXT), **(infer(self._texts(), asked) if asked else {})}

    def _texts(self) -> Iterator[dict[str, str]]:
        for path, header in self._headers.items():
            for row in self._source.rows(path):
                yield dict(zip(header, row.fields, strict=True))

    def get_records(self, context: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        """Give the rows as records; of a stream with a replication key those that are not older than the bookmark."""
        is_new = self._compile_is_new(context)
        for path, header in self._headers.items():
            to_record = self._compile_record(path, header)
            for row in self._source.rows(path):
                record = to_record(row)
                if is_new is None or is_new(record):
                    yield record

    def _compile_record(self, path: str, header: Sequence[str]) -> Callable[[Row], dict[str, Any]]:
        """Give the function that makes a record of a row of this file."""
        readers = [(name, self._types[name].read) for name in header if self._types[name] is not TEXT]
        mtime = datetime.fromtimestamp(Path(path).stat().st_mtime, tz=UTC).isoformat()

        def to_record(row: Row) -> dict[str, Any]:
            record: dict[str, Any] = dict(zip(header, row.fields, strict=True))
            for name, read in readers:
                text = record[name]
                record[name] = read(text) if text else None
            return record

        def with_metadata(row: Row) -> dict[str, Any]:
            return {**to_record(row), SOURCE_FILE: path, SOURCE_MTIME: mtime, SOURCE_LINE: row.line_number}

        return with_metadata if self._has_metadata else to_record

    def _compile_is_new(self, context: Mapping[str, Any] | None) -> Callable[[dict[str, Any]], bool] | None:
        """Give the function that tells whether a record is for this run; None when all are."""
        key = self.replication_key
        start: Any = self.get_starting_replication_key_value(context) if key else None
        if key is None or start is None:
            return None
        if self.is_timestamp_replication_key:
            start = self.get_starting_timestamp(context)
            return lambda record: record[key] is None or _instant(record[key]) >= start
        # What the file holds now may be of another type than what the bookmark came from: then all of it is read.
        return lambda record: not _is_less(record[key], start)


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_less(value: Any, start: Any) -> bool:
    if value is None or isinstance(value, str) != isinstance(start, str):
        return False
    return bool(value < start)


class TapCSV(Tap):
    """Reads CSV files."""

    name = "tap-csv"
    config_jsonschema = th.PropertiesList(
        th.Property(
            "files",
            th.ArrayType(
                th.ObjectType(
                    th.Property("entity", th.StringType, required=True, description="The stream's name."),
                    th.Property(
                        "path",
                        th.StringType,
                        required=True,
                        description="A file, a folder (all CSV files in it and its subfolders) or a pattern such as "
                        "`data/*.csv`.",
                    ),
                    th.Property("keys", th.ArrayType(th.StringType), description="The columns that make a row unique."),
                    th.Property(
                        "replication_key",
                        th.StringType,
                        description="The column that orders changes; a later run reads what is not older.",
                    ),
                    th.Property(
                        "encoding", th.StringType, description="The encoding of the text; `utf-8` when not set."
                    ),
                    th.Property(
                        "delimiter", th.StringType, description="What stands between fields; `,` when not set."
                    ),
                    th.Property("quotechar", th.StringType, description='What stands around fields; `"` when not set.'),
                    th.Property(
                        "escapechar", th.StringType, description="What takes the next character's meaning away."
                    ),
                    th.Property("doublequote", th.BooleanType, description="Whether a quote in a field stands twice."),
                    th.Property(
                        "skipinitialspace", th.BooleanType, description="Whether a space after a delimiter counts."
                    ),
                    th.Property("strict", th.BooleanType, description="Whether bad CSV is an error."),
                    additional_properties=False,
                )
            ),
            title="Files",
            description="The streams and their files.",
        ),
        th.Property(
            "csv_files_definition",
            th.StringType,
            title="File of files",
            description="The path of a JSON file with what `files` could hold.",
        ),
        th.Property(
            "infer_types",
            th.BooleanType,
            default=False,
            title="Infer types",
            description="Whether columns whose texts are all integers, numbers, booleans, dates or instants get that "
            "type; discovery then reads the files whole.",
        ),
        th.Property(
            "add_metadata_columns",
            th.BooleanType,
            default=False,
            title="Add metadata columns",
            description=f"Whether records get `{SOURCE_FILE}`, `{SOURCE_MTIME}` and `{SOURCE_LINE}`.",
        ),
    ).to_dict()

    def discover_streams(self) -> Sequence[Stream]:
        """Give a stream for each entry of the config.

        Errors: ``ConfigurationError`` when there is none.
        """
        definitions = [*(self.config.get("files") or ()), *self._definitions_from_file()]
        if not definitions:
            raise ConfigurationError("files: there are no files to read: set it, or 'csv_files_definition'")
        return [CSVStream(self, definition) for definition in definitions]

    def _definitions_from_file(self) -> list[Mapping[str, Any]]:
        path = self.config.get("csv_files_definition")
        if not path:
            return []
        try:
            definitions = loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"csv_files_definition: '{path}' can't be read: {error.strerror}") from None
        except (JSONDecodeError, UnicodeDecodeError):
            raise ConfigurationError(f"csv_files_definition: '{path}' is not JSON") from None
        if problems := config_problems({"files": definitions}, self.config_jsonschema):
            raise ConfigValidationError(
                f"csv_files_definition: '{path}' is not what 'files' could be:", errors=problems
            )
        return list(definitions or ())
