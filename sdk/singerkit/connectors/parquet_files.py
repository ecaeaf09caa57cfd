"""Parquet files, written row group by row group into drafts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit.files.storage import Draft

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER_BYTES = 1024 * 1024


class RowGroups(NamedTuple):
    """When a row group is complete.

    Units: rows; ``max_bytes()`` gives bytes of Arrow data that a file may hold back, fewer the more files there are.
    """

    max_rows: int
    max_bytes: Callable[[], int]


class _DraftFile(io.RawIOBase):
    """A draft as the file object that pyarrow writes to."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft: Draft | None = draft

    def forget(self) -> None:
        """Take no note of what comes from now on."""
        self._draft = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._draft is not None:
            self._draft.write(data)
        return len(data)


class ParquetDraft:
    """One Parquet file under way. One thread at a time."""

    def __init__(self, draft: Draft, schema: pa.Schema, compression: str, row_groups: RowGroups) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.schema = schema
        self.rows = 0
        self._row_groups = row_groups
        self._draft = draft
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._file = _DraftFile(draft)
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._file, "w"), _BUFFER_BYTES)
        self._writer: Any = parquet.ParquetWriter(self._buffer, schema, compression=compression)

    @property
    def written_bytes(self) -> int:
        """Bytes in the file so far, without the row group under way."""
        return int(self._buffer.tell())

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self._waiting_bytes += table.nbytes
        if self._waiting_rows >= self._row_groups.max_rows or self._waiting_bytes >= self._row_groups.max_bytes():
            self._write_row_group()

    def complete(self) -> None:
        """Write what is left: nothing but its name keeps it from being a file."""
        self._write_row_group()
        self._writer.close()
        self._buffer.close()

    def publish(self) -> None:
        """Let a complete one be a file; when this returns it is durable."""
        self._draft.publish()

    def discard(self) -> None:
        """Remove it."""
        self._file.forget()  # pyarrow writes the rest of a file that nobody closes
        self._draft.discard()

    def _write_row_group(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.concat_tables(self._waiting)
            self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
            self._writer.write_table(table, row_group_size=max(1, min(table.num_rows, self._row_groups.max_rows)))
