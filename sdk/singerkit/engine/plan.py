"""What a tap's run will do, decided and frozen: from the streams' specs, the catalog and the config.

Everything "effective" is settled here, once: which streams and properties are selected, key properties, replication
method and key, who takes contexts from whom.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from singerkit.engine.spec import FULL_TABLE, INCREMENTAL, StreamSpec
from singerkit.errors import CatalogError, ConfigurationError
from singerkit.protocol.catalog import Catalog, CatalogEntry, Selection, selection_of
from singerkit.records.select import prune_schema
from singerkit.schema.walk import spell_out
from singerkit.state.replication_key import ReplicationKeyType, replication_key_type
from singerkit.types import Context, Schema

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream's decided run.

    Shape: ``schema`` holds the selected properties only; ``replication_key`` is ``None`` unless the stream is read
    incrementally; ``context_keys`` are the members of a context that its records carry too.
    """

    spec: StreamSpec
    selection: Selection
    schema: Schema
    key_properties: tuple[str, ...]
    replication_method: str
    replication_key: str | None
    key_type: ReplicationKeyType
    children: tuple[StreamPlan, ...] = ()

    @property
    def selected(self) -> bool:
        """Whether the stream's records are wanted."""
        return self.selection.stream_selected

    @property
    def needed(self) -> bool:
        """Whether the stream has to be read: for its records, or for its children's contexts."""
        return self.selected or bool(self.children)

    @property
    def reads_all(self) -> bool:
        """Whether every record is read, not only what has changed."""
        ranges = self.spec.ranges
        return self.replication_method == FULL_TABLE and not (ranges is not None and ranges.is_windowed)

    def shared_members(self, context: Context | None) -> dict[str, Any]:
        """Give the members of a context that its records carry too: those that the schema has."""
        properties = self.schema.get("properties", {})
        return {name: value for name, value in (self.state_context(context) or {}).items() if name in properties}

    def state_context(self, context: Context | None) -> Context | None:
        """Give the part of a context that has a bookmark of its own."""
        keys = self.spec.state_partitioning_keys
        return context if not context or keys is None else {name: context[name] for name in keys}


@dataclass(frozen=True, slots=True)
class TapPlan:
    """A tap's decided run.

    Shape: ``roots`` have no parent; ``streams`` holds all that are needed, parents before their children.
    """

    roots: tuple[StreamPlan, ...]
    streams: tuple[StreamPlan, ...]


def plan_tap(specs: Sequence[StreamSpec], catalog: Catalog | None) -> TapPlan:
    """Decide what a run reads.

    Errors: ``CatalogError`` when the catalog selects a stream that the tap does not have, or asks for a replication
    that is not possible; ``ConfigurationError`` when a stream names a parent that the tap does not have, or itself.
    """
    _refuse_unknown(catalog, {spec.tap_stream_id for spec in specs})
    children: dict[str | None, list[StreamSpec]] = {}
    known = {spec.tap_stream_id for spec in specs}
    for spec in specs:
        if spec.parent is not None and spec.parent not in known:
            raise ConfigurationError(f"its parent '{spec.parent}' is not among the tap's streams", stream=spec.name)
        children.setdefault(spec.parent, []).append(spec)
    _refuse_circles({spec.tap_stream_id: spec.parent for spec in specs})
    plans = (_plan_lineage(spec, children, catalog) for spec in children.get(None, ()))
    roots = tuple(plan for plan in plans if plan.needed)
    return TapPlan(roots, tuple(_with_descendants(roots)))


def _refuse_circles(parents: Mapping[str | None, str | None]) -> None:
    """Streams that are each other's ancestors would never be read, and nobody would notice."""
    for name in parents:
        ancestor = name
        for _ in parents:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            raise ConfigurationError("its parents go round in a circle: 'parent_stream_type' must lead up", stream=name)


def _with_descendants(plans: Iterable[StreamPlan]) -> Iterable[StreamPlan]:
    for plan in plans:
        yield plan
        yield from _with_descendants(plan.children)


def _plan_lineage(
    spec: StreamSpec, children: Mapping[str | None, Sequence[StreamSpec]], catalog: Catalog | None
) -> StreamPlan:
    below = tuple(_plan_lineage(child, children, catalog) for child in children.get(spec.tap_stream_id, ()))
    needed = tuple(plan for plan in below if plan.needed)
    entry = catalog.get(spec.tap_stream_id) if catalog is not None else None
    return _plan_stream(spec, entry, needed, has_catalog=catalog is not None)


def _plan_stream(
    spec: StreamSpec, entry: CatalogEntry | None, children: tuple[StreamPlan, ...], *, has_catalog: bool
) -> StreamPlan:
    method, key = _replication(spec, entry, children)
    key_properties = tuple((entry.chosen_key_properties if entry else None) or spec.primary_keys)
    properties = spec.schema.get("properties", {})
    for name in key_properties:
        if name not in properties:
            raise CatalogError(f"the key property '{name}' is not in the stream's schema", stream=spec.name)
    if entry is not None:
        selection = selection_of(entry, spec.schema, automatic=(*key_properties, *([key] if key else [])))
    else:
        selection = Selection(stream_selected=spec.selected_by_default and not has_catalog)
    return StreamPlan(
        spec=spec,
        selection=selection,
        schema=prune_schema(spell_out(spec.schema), selection),
        key_properties=key_properties,
        replication_method=method,
        replication_key=key if method == INCREMENTAL else None,
        key_type=replication_key_type(properties.get(key, {})),
        children=children,
    )


def _replication(
    spec: StreamSpec, entry: CatalogEntry | None, children: Sequence[StreamPlan]
) -> tuple[str, str | None]:
    """Give the replication method and key: what the children need, the catalog, the tap; in this order."""
    if any(child.spec.ignore_parent_replication_key for child in children):
        return FULL_TABLE, None
    asked = entry.chosen_replication_method if entry else None
    key = (entry.chosen_replication_key if entry else None) or spec.replication_key
    method = spec.forced_replication_method or asked or spec.replication_method
    if method == INCREMENTAL and key is None:
        raise CatalogError(
            "replication method INCREMENTAL needs a replication key: set 'replication-key' in its metadata",
            stream=spec.name,
        )
    if method == INCREMENTAL and key not in spec.schema.get("properties", {}):
        raise CatalogError(f"the replication key '{key}' is not in the stream's schema", stream=spec.name)
    return method, key


def _refuse_unknown(catalog: Catalog | None, known: set[str]) -> None:
    for name, entry in (catalog or {}).items():
        if name in known:
            continue
        if selection_of(entry, entry.schema, automatic=()).stream_selected:
            have = ", ".join(sorted(known))
            raise CatalogError(f"the catalog selects '{name}', which this tap does not have; it has: {have}")
        logger.warning("The catalog has a stream that this tap does not have: '%s'; it is not selected", name)
