"""The settings that singerkit brings by itself: which capability brings which, as data.

Each setting has the name, type and default that existing users' configs and runners know.
"""

from __future__ import annotations

from copy import deepcopy
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from singerkit.types import Schema

PluginKind: TypeAlias = Literal["tap", "target", "mapper"]


class CapabilitiesEnum(StrEnum):
    """An ability that a tap, target or mapper may have; its text is the value, as ``--about`` shows it."""


class PluginCapabilities(CapabilitiesEnum):
    """Abilities of taps, targets and mappers alike."""

    ABOUT = "about"
    STREAM_MAPS = "stream-maps"
    FLATTENING = "schema-flattening"
    ACTIVATE_VERSION = "activate-version"
    BATCH = "batch"
    STRUCTURED_LOGGING = "structured-logging"


class TapCapabilities(CapabilitiesEnum):
    """Abilities of taps."""

    DISCOVER = "discover"
    CATALOG = "catalog"
    STATE = "state"
    TEST = "test"
    LOG_BASED = "log-based"
    PROPERTIES = "properties"
    ACTIVATE_VERSION = "activate-version"


class TargetCapabilities(CapabilitiesEnum):
    """Abilities of targets."""

    SOFT_DELETE = "soft-delete"
    HARD_DELETE = "hard-delete"
    DATATYPE_FAILSAFE = "datatype-failsafe"
    TARGET_SCHEMA = "target-schema"
    VALIDATE_RECORDS = "validate-records"


class TargetLoadMethods(CapabilitiesEnum):
    """What a target does with records that it already has."""

    APPEND_ONLY = "append-only"
    UPSERT = "upsert"
    OVERWRITE = "overwrite"


_NO_DEFAULT = object()


def _setting(kind: str, description: str, *, title: str, default: object = _NO_DEFAULT, **keywords: Any) -> Schema:
    """Give the schema of an optional setting; ``keywords`` are further JSON Schema keywords."""
    schema: Schema = {"type": [kind, "null"], "title": title, "description": description, **keywords}
    return schema if default is _NO_DEFAULT else {**schema, "default": default}


_REMOVED: list[Schema] = [{"const": "__NULL__"}, {"type": "null"}]

_STREAM_MAP: Schema = {
    "type": "object",
    "properties": {
        "__alias__": _setting("string", "The name that the stream gets.", title="Alias"),
        "__else__": {
            "anyOf": _REMOVED,
            "title": "Other properties",
            "description": "`__NULL__` removes every property that the map does not name.",
        },
        "__filter__": _setting("string", "An expression; records for which it is false are left out.", title="Filter"),
        "__key_properties__": _setting(
            "array", "The stream's key properties.", title="Key properties", items={"type": "string"}
        ),
        "__source__": _setting("string", "The stream that this new stream is made from.", title="Source stream"),
    },
    "additionalProperties": {"anyOf": [*_REMOVED, {"type": "string"}]},
}

_STREAM_MAPS: dict[str, Schema] = {
    "stream_maps": {
        "type": ["object", "null"],
        "title": "Stream maps",
        "description": "Changes of streams and properties, written as expressions, by stream name.",
        "properties": {
            "__else__": {
                "anyOf": _REMOVED,
                "title": "Other streams",
                "description": "`__NULL__` removes every stream that the maps do not name.",
            }
        },
        "additionalProperties": {"anyOf": [*_REMOVED, _STREAM_MAP]},
    },
    "stream_map_config": _setting(
        "object",
        "Values that the expressions of stream maps can read as `config`.",
        title="Stream map config",
        properties={},
        additionalProperties=True,
    ),
    "faker_config": _setting(
        "object",
        "Options of `fake` in the expressions of stream maps.",
        title="Faker config",
        properties={
            "seed": {
                "type": ["number", "string", "boolean", "null"],
                "title": "Faker seed",
                "description": "Makes the invented values the same in every run.",
            },
            "locale": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "title": "Faker locale",
                "description": "One locale or several, such as `en_US`.",
            },
        },
        additionalProperties=True,
    ),
}

_FLATTENING: dict[str, Schema] = {
    "flattening_enabled": _setting(
        "boolean", "Whether nested objects become properties of the record.", title="Enable flattening"
    ),
    "flattening_max_depth": _setting("integer", "How many levels to flatten.", title="Max flattening depth"),
    "flattening_max_key_length": _setting(
        "integer", "The longest name that a flattened property may have, in characters.", title="Max key length"
    ),
    "flattening_separator": _setting(
        "string", "What stands between the parts of a flattened name; `__` when not set.", title="Flattening separator"
    ),
}

_BATCH: dict[str, Schema] = {
    "batch_config": _setting(
        "object",
        "How BATCH files are written, and where.",
        title="Batch config",
        properties={
            "encoding": _setting(
                "object",
                "The form of the files.",
                title="Batch encoding",
                properties={
                    "format": _setting(
                        "string", "The file format.", title="Format", enum=["jsonl", "parquet", "arrow", None]
                    ),
                    "compression": _setting(
                        "string", "The compression.", title="Compression", enum=["gzip", "zstd", "none", None]
                    ),
                },
                additionalProperties=True,
            ),
            "storage": _setting(
                "object",
                "The place of the files.",
                title="Batch storage",
                properties={
                    "root": _setting("string", "The folder or address that holds the files.", title="Root"),
                    "prefix": _setting("string", "What every file name begins with.", title="Prefix"),
                    "options": _setting(
                        "object",
                        "Options of an object store in `root`, such as `endpoint` or `region`.",
                        title="Options of the object store",
                        additionalProperties=True,
                        secret=True,
                    ),
                },
                additionalProperties=True,
            ),
            "batch_size": _setting("integer", "Records of a file; 10,000 when not set.", title="Batch size", minimum=1),
        },
        additionalProperties=True,
    )
}

#: What a target has beyond ``_BATCH``.
_BATCH_INPUT: dict[str, Schema] = {
    "batch_root": _setting(
        "string",
        "The folder, or the address in an object store, below which the files of BATCH messages may be. Files anywhere "
        "else are refused, and all are when neither this nor `storage.root` of `batch_config` is set.",
        title="Batch root",
    ),
    "batch_storage_options": _setting(
        "object",
        "Options of an object store in `batch_root`, such as `endpoint` or `region`.",
        title="Batch storage options",
        additionalProperties=True,
        secret=True,
    ),
    "batch_delete_files": _setting(
        "boolean",
        "Whether a file of a BATCH message is removed when its records are stored.",
        title="Delete batch files",
        default=False,
    ),
}

_READER_LIMITS: dict[str, Schema] = {
    "max_line_mb": _setting(
        "integer", "The longest input line that is accepted, in MiB.", title="Max line size", default=64, minimum=1
    ),
    "max_nesting_depth": _setting(
        "integer", "How deep the JSON of an input line may be nested.", title="Max depth", default=512, minimum=1
    ),
    "max_digits": _setting(
        "integer", "How many digits a number in the input may have.", title="Max digits", default=4300, minimum=1
    ),
}

_OF_EVERY_TAP: dict[str, Schema] = {
    "max_concurrency": _setting(
        "integer", "How many streams and partitions are read at the same time, at most.", title="Concurrency", minimum=1
    ),
}

_OF_EVERY_TARGET: dict[str, Schema] = {
    "add_record_metadata": _setting(
        "boolean", "Whether records get the `_sdc_*` properties.", title="Add record metadata"
    ),
    "load_method": _setting(
        "string",
        "`append-only` adds every record, `upsert` updates those whose key is there already, `overwrite` replaces "
        "everything.",
        title="Load method",
        default="append-only",
        enum=[*(method.value for method in TargetLoadMethods), None],
    ),
    "batch_size_rows": _setting("integer", "A batch is stored when it has so many.", title="Batch size", minimum=1),
    "batch_size_bytes": _setting(
        "integer", "A batch is stored when its records have so many bytes.", title="Batch bytes", minimum=1
    ),
    "batch_wait_limit_seconds": _setting(
        "number", "A batch is stored when it is so old, also while no input comes.", title="Batch age", minimum=0
    ),
    "max_parallelism": _setting(
        "integer", "How many streams are stored at the same time, at most.", title="Parallelism", minimum=1
    ),
    "max_pending_mb": _setting(
        "integer",
        "Reading waits while so many MiB of records are not stored yet.",
        title="Max pending",
        minimum=1,
    ),
    **_READER_LIMITS,
}

_OF_KIND: Mapping[PluginKind, dict[str, Schema]] = {
    "tap": _OF_EVERY_TAP,
    "target": _OF_EVERY_TARGET,
    "mapper": _READER_LIMITS,
}

#: Abilities that the engine gives, declared or not: what any tap reads can be mapped and flattened.
_GIVEN: Mapping[PluginKind, tuple[str, ...]] = {
    "tap": ("stream-maps", "schema-flattening"),
    "target": (),
    "mapper": (),
}

#: Settings by capability, for every kind of plugin.
_OF_CAPABILITY: dict[str, dict[str, Schema]] = {
    "stream-maps": _STREAM_MAPS,
    "schema-flattening": _FLATTENING,
    "batch": _BATCH,
    "validate-records": {
        "validate_records": _setting(
            "boolean", "Whether records are checked against their schema.", title="Validate records", default=True
        ),
        "on_invalid": _setting(
            "string",
            "What happens to a record that its schema or the destination refuses: `fail` ends the run, `skip` leaves "
            "it out and counts it, `quarantine` writes it to a file too.",
            title="On invalid records",
            default="fail",
            enum=["fail", "skip", "quarantine", None],
        ),
        "quarantine_path": _setting(
            "string",
            "The folder for refused records, a file of JSON lines for each stream.",
            title="Quarantine path",
            default="quarantine",
        ),
        "max_invalid_ratio": _setting(
            "number",
            "The share of all records that may be refused, 0 to 1; beyond it the run fails.",
            title="Maximum ratio of invalid records",
            default=0.1,
            minimum=0,
            maximum=1,
        ),
    },
    "hard-delete": {
        "hard_delete": _setting(
            "boolean", "Whether deleted records are removed instead of marked.", title="Hard delete", default=False
        )
    },
    "target-schema": {
        "default_target_schema": _setting(
            "string", "The database schema that every stream goes to.", title="Default target schema"
        )
    },
}

#: ``activate-version`` means one setting for what writes the messages and another for what reads them.
_ACTIVATE_VERSION: Mapping[PluginKind, dict[str, Schema]] = {
    "tap": {
        "emit_activate_version_messages": _setting(
            "boolean",
            "Whether ACTIVATE_VERSION messages are written.",
            title="Emit `ACTIVATE_VERSION` messages",
            default=False,
        )
    },
    "target": {
        "process_activate_version_messages": _setting(
            "boolean",
            "Whether ACTIVATE_VERSION messages are obeyed.",
            title="Process `ACTIVATE_VERSION` messages",
            default=True,
        )
    },
    "mapper": {},
}


def settings_schema(
    config_jsonschema: Mapping[str, Any],
    capabilities: Collection[CapabilitiesEnum | str],
    *,
    kind: PluginKind | None = None,
) -> Schema:
    """Give the author's schema of the config with the built-in settings added; the author's own settings win.

    ``kind`` is guessed from the capabilities where it is not given. Neither argument is changed.
    """
    names = [str(capability) for capability in capabilities]
    kind = kind or _kind_of(names)
    built_in = dict(_OF_KIND[kind])
    for name in (*names, *_GIVEN[kind]):
        built_in |= _ACTIVATE_VERSION[kind] if name == "activate-version" else _OF_CAPABILITY.get(name, {})
        if name == "batch" and kind == "target":
            built_in |= _BATCH_INPUT
    own = config_jsonschema.get("properties") or {}
    added = {name: deepcopy(schema) for name, schema in built_in.items() if name not in own}
    return {"type": "object", **config_jsonschema, "properties": {**own, **added}}


def _kind_of(capabilities: Collection[str]) -> PluginKind:
    if any(member.value in capabilities for member in (TapCapabilities.DISCOVER, TapCapabilities.CATALOG)):
        return "tap"
    return "target" if any(member.value in capabilities for member in TargetCapabilities) else "mapper"
