"""Stream maps for the code of a mapper: what the setting ``stream_maps`` makes of one stream after the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from singerkit.records.map import OutputStream, plan_outputs
from singerkit.schema.refs import resolve_references
from singerkit.types import Record, Schema


class StreamMap:
    """One stream as it leaves: its name, schema and key properties, and what becomes of a record."""

    def __init__(self, output: OutputStream) -> None:
        self.stream_alias = output.name
        self.transformed_schema: Schema = output.schema
        self.transformed_key_properties = list(output.key_properties)
        self._step = output.step

    def transform(self, record: Record) -> Record | None:
        """Give the record as it leaves, or ``None`` where the map drops it; the argument stays as it is."""
        return record if self._step is None else self._step(record)


class PluginMapper:
    """The streams that leave, by the stream that came: ``stream_maps[name]`` is empty where a map removes it.

    ``plugin_config``: reads ``stream_maps``, ``stream_map_config``, ``faker_config`` and ``flattening_*``.
    """

    def __init__(self, plugin_config: Mapping[str, Any], logger: logging.Logger | None = None) -> None:
        self._config = plugin_config
        self.logger = logger or logging.getLogger(__name__)
        self.stream_maps: dict[str, list[StreamMap]] = {}

    def register_raw_stream_schema(
        self, stream_name: str, schema: Schema, key_properties: Sequence[str] | None = None
    ) -> None:
        """Take in the schema of a stream that comes; a later one replaces it.

        Errors: ``MappingError`` for a map that can't be understood.
        """
        outputs = plan_outputs(stream_name, resolve_references(schema), key_properties, self._config)
        self.stream_maps[stream_name] = [StreamMap(output) for output in outputs]
