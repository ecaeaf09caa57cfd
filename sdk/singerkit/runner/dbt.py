"""What a pipeline loads, as sources of dbt: tables, columns, tests of keys, freshness.

Source: https://docs.getdbt.com/reference/source-properties
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: The column that ``add_record_metadata`` adds, which says when a record was loaded.
_LOADED_AT = "_sdc_batched_at"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def sources(
    catalog: Mapping[str, Any],
    *,
    name: str,
    schema: str | None,
    database: str | None,
    has_metadata: bool,
    stale_after_s: float | None,
) -> dict[str, Any]:
    """Give the document of a ``sources.yml``.

    ``catalog`` is what the tap is given; streams that are not selected are left out. ``has_metadata`` says that the
    target adds record metadata; without it, freshness is that of the replication key. ``stale_after_s`` (seconds) is
    when dbt is to report an error; it warns at two thirds of that.
    """
    source: dict[str, Any] = {"name": name}
    if database:
        source["database"] = database
    if schema:
        source["schema"] = schema
    source["tables"] = [_table(entry, has_metadata, stale_after_s) for entry in _selected(catalog)]
    return {"version": 2, "sources": [source]}


def _selected(catalog: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in catalog["streams"]:
        metadata = _metadata(entry, ())
        if metadata.get("selected", metadata.get("selected-by-default", entry.get("selected", True))):
            yield entry


def _table(entry: Mapping[str, Any], has_metadata: bool, stale_after_s: float | None) -> dict[str, Any]:
    schema = entry.get("schema") or {}
    keys = entry.get("key_properties") or _metadata(entry, ()).get("table-key-properties") or []
    table: dict[str, Any] = {"name": entry.get("stream") or entry["tap_stream_id"]}
    if description := schema.get("description"):
        table["description"] = description
    loaded_at = _LOADED_AT if has_metadata else _replication_key(entry)
    if loaded_at and stale_after_s:
        table["loaded_at_field"] = loaded_at
        table["freshness"] = {
            "warn_after": _period(stale_after_s * 2 / 3),
            "error_after": _period(stale_after_s),
        }
    table["columns"] = [
        _column(property_name, said, keys)
        for property_name, said in (schema.get("properties") or {}).items()
        if _is_selected(entry, property_name, keys)
    ]
    return table


def _column(name: str, said: Any, keys: list[str]) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name}
    if isinstance(said, dict) and (description := said.get("description")):
        column["description"] = description
    if name in keys:
        # Several properties are a key together; each by itself need not be unique.
        column["data_tests"] = ["not_null", "unique"] if len(keys) == 1 else ["not_null"]
    return column


def _is_selected(entry: Mapping[str, Any], name: str, keys: list[str]) -> bool:
    metadata = _metadata(entry, ("properties", name))
    if name in keys or metadata.get("inclusion") == "automatic":
        return True
    if metadata.get("inclusion") == "unsupported":
        return False
    return bool(metadata.get("selected", metadata.get("selected-by-default", True)))


def _metadata(entry: Mapping[str, Any], breadcrumb: tuple[str, ...]) -> Mapping[str, Any]:
    for item in entry.get("metadata") or ():
        if tuple(item.get("breadcrumb") or ()) == breadcrumb:
            found: Mapping[str, Any] = item.get("metadata") or {}
            return found
    return {}


def _replication_key(entry: Mapping[str, Any]) -> str | None:
    """Give the replication key if it is an instant: dbt compares it with the current time."""
    key = entry.get("replication_key") or _metadata(entry, ()).get("replication-key")
    said = ((entry.get("schema") or {}).get("properties") or {}).get(key) if isinstance(key, str) else None
    return key if isinstance(said, dict) and said.get("format") == "date-time" else None


def _period(seconds: float) -> dict[str, Any]:
    """Give a time as dbt says it, rounded up to a whole number of the largest unit that fits."""
    unit, name = next(
        (pair for pair in ((_DAY, "day"), (_HOUR, "hour")) if seconds >= 2 * pair[0]), (_MINUTE, "minute")
    )
    return {"count": max(1, -int(-seconds // unit)), "period": name}
