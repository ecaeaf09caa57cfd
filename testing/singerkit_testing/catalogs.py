"""Catalogs as plain documents: what is in them, and copies with something else selected."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Document = dict[str, Any]
Breadcrumb = tuple[str, ...]


def entries_of(catalog: Mapping[str, Any] | None) -> list[Document]:
    """List the entries that are objects."""
    streams = (catalog or {}).get("streams")
    return [entry for entry in streams if isinstance(entry, dict)] if isinstance(streams, list) else []


def stream_id(entry: Mapping[str, Any]) -> str:
    """Give the identity of an entry; the stream's name where an old tap leaves it out."""
    return str(entry.get("tap_stream_id") or entry.get("stream") or "")


def stream_name(entry: Mapping[str, Any]) -> str:
    """Give the name that an entry's stream has in messages."""
    return str(entry.get("stream_alias") or entry.get("stream") or entry.get("tap_stream_id") or "")


def entry_of(catalog: Mapping[str, Any] | None, tap_stream_id: str) -> Document:
    """Find one entry.

    Errors: ``KeyError`` if there is none.
    """
    for entry in entries_of(catalog):
        if stream_id(entry) == tap_stream_id:
            return entry
    raise KeyError(tap_stream_id)


def metadata_of(entry: Mapping[str, Any], breadcrumb: Iterable[str] = ()) -> Document:
    """Give the metadata at a breadcrumb; empty if there is none."""
    wanted = list(breadcrumb)
    for item in _metadata_list(entry):
        if item.get("breadcrumb") == wanted and isinstance(item.get("metadata"), dict):
            return dict(item["metadata"])
    return {}


def breadcrumbs_of(entry: Mapping[str, Any]) -> Iterator[Breadcrumb]:
    """List the breadcrumbs of all properties of an entry's schema, nested ones too; the root's is not among them."""
    yield from _property_breadcrumbs(entry.get("schema"), ())


def _property_breadcrumbs(schema: Any, above: Breadcrumb) -> Iterator[Breadcrumb]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, inner in (properties if isinstance(properties, dict) else {}).items():
        breadcrumb = (*above, "properties", name)
        yield breadcrumb
        yield from _property_breadcrumbs(inner, breadcrumb)


def is_automatic(entry: Mapping[str, Any], name: str) -> bool:
    """Whether a top-level property is sent whatever is selected."""
    return metadata_of(entry, ("properties", name)).get("inclusion") == "automatic"


def properties_of(entry: Mapping[str, Any]) -> Document:
    """Give the top-level properties of an entry's schema; empty if there are none."""
    schema = entry.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def key_properties_of(entry: Mapping[str, Any]) -> list[str]:
    """Give the key properties that an entry declares, in its metadata or, as newer taps do, beside it."""
    root = metadata_of(entry)
    for keys in (root.get("table-key-properties"), root.get("view-key-properties"), entry.get("key_properties")):
        if isinstance(keys, list):
            return [key for key in keys if isinstance(key, str)]
    return []


def replication_keys_of(entry: Mapping[str, Any]) -> list[str]:
    """Give the properties that may serve as an entry's replication key; empty if it does not say."""
    keys = metadata_of(entry).get("valid-replication-keys")
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


def replication_key_of(entry: Mapping[str, Any]) -> str | None:
    """Give the replication key that is chosen in an entry; else the only one that there is."""
    chosen = metadata_of(entry).get("replication-key") or entry.get("replication_key")
    valid = replication_keys_of(entry)
    return chosen if isinstance(chosen, str) else valid[0] if len(valid) == 1 else None


def method_of(entry: Mapping[str, Any]) -> str | None:
    """Give the replication method of an entry: the forced one, else the chosen one; None if there is neither."""
    root = metadata_of(entry)
    named = root.get("forced-replication-method") or root.get("replication-method") or entry.get("replication_method")
    return str(named) if named else None


def with_method(catalog: Mapping[str, Any], method: str, only: Iterable[str]) -> Document:
    """Copy a catalog with another replication method for some streams."""
    changed = copy.deepcopy(dict(catalog))
    for tap_stream_id in only:
        entry = entry_of(changed, tap_stream_id)
        set_metadata(entry, {"replication-method": method})
        if "replication_method" in entry:
            entry["replication_method"] = method
    return changed


def with_metadata(
    catalog: Mapping[str, Any], tap_stream_id: str, values: Mapping[str, Any], breadcrumb: Iterable[str] = ()
) -> Document:
    """Copy a catalog with some metadata of one stream set; None takes a value away."""
    changed = copy.deepcopy(dict(catalog))
    set_metadata(entry_of(changed, tap_stream_id), values, breadcrumb)
    return changed


def with_selection(
    catalog: Mapping[str, Any], tap_stream_id: str, selected: bool, breadcrumb: Iterable[str] = ()
) -> Document:
    """Copy a catalog with a stream, or one property of it, selected or not."""
    changed = with_metadata(catalog, tap_stream_id, {"selected": selected}, breadcrumb)
    if not list(breadcrumb):
        _select_in_schema(entry_of(changed, tap_stream_id), selected)
    return changed


def with_only(catalog: Mapping[str, Any], tap_stream_ids: Iterable[str]) -> Document:
    """Copy a catalog in which just these streams are selected, with all that they have."""
    wanted = set(tap_stream_ids)
    changed = copy.deepcopy(dict(catalog))
    for entry in entries_of(changed):
        _select(entry, stream_id(entry) in wanted)
    return changed


def with_everything(catalog: Mapping[str, Any]) -> Document:
    """Copy a catalog in which all is selected, in so many words; a replication method is chosen where none stands."""
    changed = with_only(catalog, map(stream_id, entries_of(catalog)))
    for entry in entries_of(changed):
        _choose_method(entry)
    return changed


def set_metadata(entry: Document, values: Mapping[str, Any], breadcrumb: Iterable[str] = ()) -> None:
    """Set metadata in place; None takes a value away."""
    wanted = list(breadcrumb)
    items = _metadata_list(entry)
    item = next((item for item in items if item.get("breadcrumb") == wanted), None)
    if item is None:
        item = {"breadcrumb": wanted, "metadata": {}}
        entry["metadata"] = [*items, item]
    merged = {**(item.get("metadata") or {}), **values}
    item["metadata"] = {name: value for name, value in merged.items() if value is not None}


def _select(entry: Document, selected: bool) -> None:
    set_metadata(entry, {"selected": selected})
    _select_in_schema(entry, selected)
    for breadcrumb in breadcrumbs_of(entry):
        if metadata_of(entry, breadcrumb).get("inclusion") != "unsupported":
            set_metadata(entry, {"selected": selected}, breadcrumb)


def _select_in_schema(entry: Document, selected: bool) -> None:
    # Taps older than metadata look here; the others don't mind, as a schema may carry what it likes.
    if isinstance(entry.get("schema"), dict) and "selected" in entry["schema"]:
        entry["schema"]["selected"] = selected
    if "selected" in entry:
        entry["selected"] = selected


def _choose_method(entry: Document) -> None:
    root = metadata_of(entry)
    chosen = root.get("replication-method") or root.get("forced-replication-method") or entry.get("replication_method")
    if chosen:
        return
    keys = root.get("valid-replication-keys")
    if isinstance(keys, list) and keys:
        set_metadata(entry, {"replication-method": "INCREMENTAL", "replication-key": keys[0]})
    else:
        set_metadata(entry, {"replication-method": "FULL_TABLE"})


def _metadata_list(entry: Mapping[str, Any]) -> list[Document]:
    items = entry.get("metadata")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
