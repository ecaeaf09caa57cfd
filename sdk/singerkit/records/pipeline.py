"""The path of a stream's records, put together once: conform, flatten and map, encode, frame.

A stream gives one or more *outputs* (stream maps can rename it, split it, or take it away). Where no map and no
flattening is asked for, conforming and encoding are one step on the whole block; otherwise each record is conformed
once, then goes through each output's step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from singerkit.records.conform import Changes, compile_conform, with_open_members
from singerkit.records.encode import BlockEncoder, RecordEncoder, line_frame
from singerkit.records.map import OutputStream, plan_outputs
from singerkit.records.reading import RowType
from singerkit.types import Record, Schema, Step

#: From a block of records and its extraction time (RFC 3339 text) to whole RECORD lines.
Render: TypeAlias = Callable[[Sequence[Record], str], bytes]
#: From an output's name and version to what makes its texts what is written.
FrameOf: TypeAlias = Callable[[str, int | None], Callable[[bytes, str], bytes]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A stream's compiled path: where its records go, and how.

    ``row_type`` gives the struct type that ``render`` takes as :class:`~singerkit.records.rows.Rows` at the moment, or
    ``None`` where it wants dicts.
    """

    outputs: tuple[OutputStream, ...]
    render: Render
    changes: Changes
    row_type: RowType = lambda: None


def compile_pipeline(
    stream: str,
    schema: Schema,
    key_properties: Sequence[str],
    config: Mapping[str, Any],
    *,
    version: int | None = None,
    frame_of: FrameOf = line_frame,
    keeps_nested: bool = False,
) -> Pipeline:
    """Decide everything about the way of a stream's records; ``schema`` holds the selected properties only.

    ``frame_of(stream, version)`` gives what makes an output's JSON texts, one a line, what is written.
    ``keeps_nested``: nested objects keep properties that their schema does not name.

    Errors: ``MappingError`` for a stream map that can't be understood.
    """
    changes = Changes()
    outputs = plan_outputs(stream, schema, tuple(key_properties), config)
    form = with_open_members if keeps_nested else _as_it_is
    routes = [_route(output, form(output.schema), changes, frame_of(output.name, version)) for output in outputs]
    if len(routes) == 1 and outputs[0].step is None:
        encode_block, frame = routes[0][1:]
        return Pipeline(outputs, _direct(encode_block, frame), changes, encode_block.row_type)
    return Pipeline(outputs, _stepwise(compile_conform(form(schema), changes), routes), changes)


_Route: TypeAlias = tuple[Step | None, RecordEncoder, Callable[[bytes, str], bytes]]


def _as_it_is(schema: Schema) -> Schema:
    return schema


def _route(output: OutputStream, schema: Schema, changes: Changes, frame: Callable[[bytes, str], bytes]) -> _Route:
    encoder = RecordEncoder(schema, output.key_properties, changes)
    return output.step, encoder, frame


def _direct(encode_block: BlockEncoder, frame: Callable[[bytes, str], bytes]) -> Render:
    def render(records: Sequence[Record], time_extracted: str) -> bytes:
        texts = encode_block(records)
        return frame(texts, time_extracted) if texts else b""

    return render


def _stepwise(conform: Callable[[Mapping[str, Any]], Record], routes: Sequence[_Route]) -> Render:
    def render(records: Sequence[Record], time_extracted: str) -> bytes:
        conformed = [conform(record) for record in records]
        blocks = []
        for step, encode_block, frame in routes:
            kept = conformed if step is None else [r for r in map(step, conformed) if r is not None]
            if kept:
                blocks.append(frame(encode_block(kept), time_extracted))
        return b"".join(blocks)

    return render
