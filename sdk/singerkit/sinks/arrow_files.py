"""JSON lines as whole Arrow and Parquet files."""

from __future__ import annotations

from typing import Any

from singerkit.files.batches import PARQUET, BatchEncoding
from singerkit.files.compression import NONE, as_member
from singerkit.sinks.arrow_columns import ArrowColumns
from singerkit.types import Schema


def columnar_file(stream: str, schema: Schema, texts: bytes, encoding: BatchEncoding) -> bytes:
    """Give JSON lines, a record each, as a Parquet file or an Arrow stream; its columns are marked.

    Errors: those of :class:`ArrowColumns`.
    """
    table = _table(stream, schema, texts)
    if encoding.format == PARQUET:
        return _parquet(table, encoding.compression)
    return b"".join(as_member([_arrow_stream(table)], encoding.compression))


def _table(stream: str, schema: Schema, texts: bytes) -> Any:
    from singerkit.records.encode import line_frame
    from singerkit.records.validate import compile_decoder

    lines = line_frame(stream, None)(texts, "")
    columns = ArrowColumns(schema, stream, marked=True)
    decode = compile_decoder(schema, validate=False, exact_numbers=True, keep_structs=True)
    return columns.table([line.record for line in decode(lines)])


def _parquet(table: Any, compression: str) -> bytes:
    from pyarrow import BufferOutputStream, parquet

    made = BufferOutputStream()
    parquet.write_table(table, made, compression="snappy" if compression == NONE else compression)
    return bytes(made.getvalue())


def _arrow_stream(table: Any) -> bytes:
    from pyarrow import BufferOutputStream, ipc

    made = BufferOutputStream()
    with ipc.new_stream(made, table.schema) as stream:
        stream.write_table(table)
    return bytes(made.getvalue())
