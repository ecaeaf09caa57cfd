"""target-csv: writes CSV files, one for each stream.

The first header comes from the schema. Whatever comes later, a column never moves and never loses its name: values go
under the column that is called like their property, and new properties become new columns at the end. Objects and
arrays are written as JSON, booleans as ``true`` and ``false``, numbers with every digit; null is an empty field and an
empty text a pair of quote characters. When a batch is acknowledged it is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from singerkit import typing as th
from singerkit.connectors.csv_files import CSVFile, CSVParts, CSVRows, Dialect, Fields
from singerkit.connectors.file_settings import COMPRESSION, LOAD_METHOD, PLACE, STORAGE_OPTIONS, part_limits
from singerkit.connectors.file_target import FileSink, FileTarget, StreamFile
from singerkit.connectors.stream_parts import StreamParts
from singerkit.errors import ConfigurationError, DataError
from singerkit.records.columns import (
    LeftOut,
    Values,
    are_nested,
    as_json,
    column_schemas,
    columns_of,
    each,
    types_in,
)
from singerkit.records.json_text import json_text

_NUMBERS = {int, float, Decimal}
_TRUTHS = {True: "true", False: "false"}


class CSVSink(FileSink):
    """Appends the records of a stream to its file."""

    takes_structs = True

    def __init__(
        self, target: TargetCSV, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None = None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._names = list(schema.get("properties") or {})
        self._left_out = LeftOut(self.logger, self._names)
        self._target_csv = target

    def setup(self) -> None:
        """Open the file, and let it have a column for each property."""
        column_schemas(self.schema, self.stream_name)
        super().setup()
        self._csv = self._target_csv.open_csv(self._opened)
        with self._opened.lock:
            self._csv.add_columns(self._names)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Append the records, and wait until they are on the disk."""
        records = context["records"]
        self._left_out.look_at(records)
        values = dict(zip(self._names, columns_of(records, self._names), strict=True))
        with self._opened.lock:
            nothing = [None] * len(records)
            fields = [_fields(values.get(name, nothing)) for name in self._csv.columns]
            try:
                self._csv.append(fields)
            except UnicodeEncodeError:
                raise DataError("a text holds half a character (a lone surrogate), which UTF-8 can't say") from None

    def clean_up(self) -> None:
        """Complete what was written; say what was left out."""
        super().clean_up()
        self._left_out.report()


def _fields(values: Values) -> Fields:
    types = types_in(values)
    if not types or types == {str}:
        return values
    if types <= _NUMBERS:
        return each(values, str)
    if types == {bool}:
        return list(map(_TRUTHS.get, values))
    return as_json(values) if are_nested(types) else each(values, _field)


def _field(value: Any) -> str:
    return str(value) if isinstance(value, str) or type(value) in _NUMBERS else json_text(value)


class TargetCSV(FileTarget):
    """Writes CSV files, one for each stream."""

    name = "target-csv"
    default_sink_class = CSVSink
    config_jsonschema = th.PropertiesList(
        th.Property(
            "output_path",
            th.StringType,
            title="Place of the files",
            description=f"{PLACE} The working folder when not set.",
        ),
        th.Property(
            "destination_path", th.StringType, title="Place of the files", description="Another name for `output_path`."
        ),
        STORAGE_OPTIONS,
        th.Property(
            "file_naming_scheme",
            th.StringType,
            default="{stream_name}.csv",
            title="File names",
            description="How files are called, with `{stream_name}`, `{datestamp}` and `{timestamp}` in it.",
        ),
        th.Property(
            "datestamp_format",
            th.StringType,
            default="%Y-%m-%d",
            title="Form of dates",
            description="How `{datestamp}` is written: the day on which the run began, in UTC.",
        ),
        th.Property(
            "timestamp_format",
            th.StringType,
            default="%Y-%m-%d.T%H%M%S",
            title="Form of times",
            description="How `{timestamp}` is written: when the run began, in UTC.",
        ),
        th.Property(
            "delimiter",
            th.StringType(min_length=1, max_length=1),
            default=",",
            title="Delimiter",
            description="What stands between two fields: one ASCII character.",
        ),
        th.Property(
            "quotechar",
            th.StringType(min_length=1, max_length=1),
            default='"',
            title="Quote character",
            description="What stands around a field that holds a delimiter or a line end: one ASCII character.",
        ),
        COMPRESSION,
        LOAD_METHOD,
        *part_limits("In an object store, a file"),
    ).to_dict()

    def __init__(self, **arguments: Any) -> None:
        """Take in the config; see ``Target``.

        Errors: ``ConfigurationError`` for a name or character that can't be used.
        """
        super().__init__(**arguments)
        self._csv_rows: dict[str, CSVRows] = {}
        self._dialect = _dialect(self.config)
        self.file_name("")

    @property
    def place(self) -> str:
        """Where the files are."""
        return self.config.get("output_path") or self.config.get("destination_path") or "."

    def file_name(self, stem: str) -> str:
        """Give the name of the file."""
        scheme: str = self.config.get("file_naming_scheme") or "{stream_name}.csv"
        now = self.started_at
        name = scheme
        for field, text in {
            "{datestamp}": now.strftime(self.config.get("datestamp_format") or "%Y-%m-%d"),
            "{timestamp}": now.strftime(self.config.get("timestamp_format") or "%Y-%m-%d.T%H%M%S"),
        }.items():
            name = name.replace(field, text)
        if "/" in name or "\0" in name or "{" in name.replace("{stream_name}", ""):
            raise ConfigurationError(
                "file_naming_scheme: has to be a file's name, with no folder, and no other fields than {stream_name}, "
                "{datestamp} and {timestamp}"
            )
        return name.replace("{stream_name}", stem)

    def open_csv(self, opened: StreamFile) -> CSVRows:
        """Give a file's header and rows, the same however often it is asked for."""
        if opened.name not in self._csv_rows:
            self._csv_rows[opened.name] = self._rows_of(opened)
        return self._csv_rows[opened.name]

    def _rows_of(self, opened: StreamFile) -> CSVRows:
        if isinstance(opened.file, StreamParts):
            return CSVParts(opened.file, self._dialect)
        return CSVFile(opened.file, self._dialect)


def _dialect(config: Any) -> Dialect:
    dialect = Dialect(config.get("delimiter") or ",", config.get("quotechar") or '"')
    characters = dialect.delimiter + dialect.quotechar
    if not characters.isascii() or "\n" in characters or "\r" in characters or dialect.delimiter == dialect.quotechar:
        raise ConfigurationError("delimiter and quotechar: have to be two different ASCII characters, no line ends")
    return dialect
