"""Un-nest: bring the members of nested objects up to the record, and turn what stays nested into JSON text.

``flatten_schema`` and ``compile_flatten`` agree: what the one says of a property, the other makes of its value. The
names, the order and the JSON text are those that the established taps and targets produce. Where those say one thing
in the schema and write another in the record, the schema here tells what the record holds: an anyOf without text,
arrays or objects stays as it is instead of being left out, one with arrays or objects becomes text, and ``required``
forgets properties that are no longer there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any, TypeAlias
from uuid import UUID

from singerkit.errors import ConfigValidationError, MappingError
from singerkit.schema.walk import types_of
from singerkit.types import Record, Schema, Step

DEFAULT_SEPARATOR = "__"
DEFAULT_MAX_KEY_LENGTH = 255

#: Writes the members of one object into the flat record.
_Writer: TypeAlias = Callable[[Mapping[str, Any], Record], None]

_LEAVES = frozenset({str, int, float, bool, type(None), Decimal, datetime, date, time, UUID})
_NESTED = frozenset({"object", "array"})
_WORD_START = re.compile(r"(?:^|_)(.)")
_LOWER_CASE = re.compile(r"[a-z]")


@dataclass(frozen=True)
class FlattenOptions:
    """How far to flatten, and how to name the result.

    Units: ``max_depth`` counts the levels that are brought up; a name of ``max_key_length`` characters or more is
    shortened (None: never).
    """

    max_depth: int
    separator: str = DEFAULT_SEPARATOR
    max_key_length: int | None = None


def flatten_options(config: Mapping[str, Any]) -> FlattenOptions | None:
    """Read the ``flattening_*`` settings; None where flattening is off.

    Errors: ConfigValidationError where it is on without a depth.
    """
    if not config.get("flattening_enabled"):
        return None
    max_depth = config.get("flattening_max_depth")
    if max_depth is None:
        problem = "flattening_max_depth: is required when flattening_enabled is true"
        raise ConfigValidationError("the settings for flattening are incomplete", errors=[problem])
    if max_depth <= 0:
        return None
    separator = config.get("flattening_separator")
    max_key_length = config.get("flattening_max_key_length")
    return FlattenOptions(
        max_depth=max_depth,
        separator=DEFAULT_SEPARATOR if separator is None else separator,
        max_key_length=DEFAULT_MAX_KEY_LENGTH if max_key_length is None else max_key_length,
    )


# --- names ---


def flattened_name(path: tuple[str, ...], options: FlattenOptions) -> str:
    """Give the name of the member at ``path``: its parts joined; shortened from the left while it is too long."""
    name = options.separator.join(path)
    if options.max_key_length is None or len(name) < options.max_key_length:
        return name
    parts = list(path)
    for index, part in enumerate(path):
        parts[index] = _initials(part)
        name = options.separator.join(parts)
        if len(name) < options.max_key_length:
            break
    return name


def _initials(part: str) -> str:
    """Give the first letters of the words of a name; its first three characters where it is one word."""
    initials = _LOWER_CASE.sub("", _WORD_START.sub(lambda found: found.group(1).upper(), part))
    return (initials if len(initials) > 1 else part[:3]).lower()


# --- schema ---


def flatten_schema(schema: Schema, options: FlattenOptions) -> Schema:
    """Give the schema of the flattened records; ``schema`` stays as it is.

    Errors: MappingError where two properties would get the same name.
    """
    properties: dict[str, Schema] = {}
    _add_flattened(schema, (), options, properties)
    flat = {keyword: properties if keyword == "properties" else deepcopy(value) for keyword, value in schema.items()}
    flat["properties"] = properties
    if "required" in flat:
        flat["required"] = [name for name in flat["required"] if name in properties]
    return flat


def _add_flattened(node: Schema, path: tuple[str, ...], options: FlattenOptions, properties: dict[str, Schema]) -> None:
    """Add what the members of one object become, in order."""
    for key, member in (node.get("properties") or {}).items():
        below = (*path, key)
        if _is_opened(member, len(path), options):
            _add_flattened(member, below, options, properties)
            continue
        name = flattened_name(below, options)
        if name in properties:
            raise MappingError(
                f"flattening gives two properties the name '{name}'; choose another flattening_separator, "
                "or rename or remove one of them with stream_maps"
            )
        properties[name] = _flat_member(member, options)


def _is_opened(member: Any, level: int, options: FlattenOptions) -> bool:
    """Say whether an object's members are brought up: it declares them, and is not too deep."""
    declared = isinstance(member, dict) and "properties" in member and "object" in (member.get("type") or ())
    return declared and level < options.max_depth


def _flat_member(member: Any, options: FlattenOptions) -> Schema:
    """Give the schema of a member that is not opened: text, where its value may be an object or array."""
    if not isinstance(member, dict):
        return {"type": ["null", "string"]}
    if "type" in member:
        declared = member["type"]
        if "array" in declared or ("object" in declared and options.max_depth > 0):
            return {"type": ["string", "null"] if "null" in declared else "string"}
        return deepcopy(member)
    return _flat_typeless(member)


def _flat_typeless(member: Schema) -> Schema:
    """Give the schema of a member without ``type`` of its own."""
    branches = member.get("anyOf") or member.get("oneOf") or ()
    first: Any = next(iter(branches), None)
    types = types_of(member)
    if isinstance(first, dict) and first.get("type") == "string" and types <= _NESTED | {"string", "null"}:
        return {**deepcopy(first), "type": ["null", "string"]}
    if types & _NESTED:
        return {"type": ["null", *sorted(types - _NESTED - {"null", "string"}), "string"]}
    if types and "const" not in member:
        return deepcopy(member)
    return {"type": ["null", "string"]}


# --- records ---


def compile_flatten(schema: Schema, options: FlattenOptions) -> Step | None:
    """Give the step that flattens records of ``schema`` (as it is before flattening).

    None where it could change nothing: all that the schema allows is flat already. Members that the schema does not
    name are flattened too.
    """
    flat = flatten_schema(schema, options)
    if _is_flat_already(schema, flat):
        return None
    write = _object_writer(schema, (), flat["properties"].keys(), options)

    def flatten(record: Record) -> Record:
        flat: Record = {}
        write(record, flat)
        return flat

    return flatten


def _is_flat_already(schema: Schema, flat: Schema) -> bool:
    closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    members = schema.get("properties") or {}
    scalar = all(types_of(member) and not types_of(member) & _NESTED for member in members.values())
    return closed and scalar and members.keys() == flat["properties"].keys()


def flatten_record(
    record: Mapping[str, Any],
    flattened_schema: Schema | None = None,
    max_level: int = 0,
    separator: str = DEFAULT_SEPARATOR,
    *,
    max_key_length: int | None = DEFAULT_MAX_KEY_LENGTH,
) -> Record:
    """Flatten one record by an already flattened schema; ``compile_flatten`` is the fast way for many.

    Without ``flattened_schema`` nothing is brought up: objects and arrays become JSON text.
    """
    options = FlattenOptions(max_level if flattened_schema else 0, separator, max_key_length)
    kept = (flattened_schema or {}).get("properties") or {}
    flat: Record = {}
    _object_writer({}, (), kept.keys(), options)(record, flat)
    return flat


class _Names(dict[str, str]):
    """The flat names of an object's members. Those of the schema are kept; others are made anew, so it can't grow."""

    def __init__(self, path: tuple[str, ...], options: FlattenOptions, known: Mapping[str, Any]) -> None:
        super().__init__({key: flattened_name((*path, key), options) for key in known})
        self._path = path
        self._options = options

    def __missing__(self, key: str) -> str:
        return flattened_name((*self._path, key), self._options)


class _Openers(dict[str, _Writer | None]):
    """The writers of an object's members that are objects; None: that member stays closed and becomes text."""

    def __init__(
        self, node: Any, path: tuple[str, ...], kept: Any, options: FlattenOptions, names: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._path = path
        self._kept = kept
        self._options = options
        self._names = names
        for key, member in _members(node).items():
            self[key] = self._open(key, member)

    def __missing__(self, key: str) -> _Writer | None:
        return self._open(key, {})

    def _open(self, key: str, member: Any) -> _Writer | None:
        if len(self._path) >= self._options.max_depth or self._names[key] in self._kept:
            return None
        return _object_writer(member, (*self._path, key), self._kept, self._options)


def _members(node: Any) -> Mapping[str, Any]:
    return (node.get("properties") or {}) if isinstance(node, dict) else {}


def _object_writer(node: Any, path: tuple[str, ...], kept: Any, options: FlattenOptions) -> _Writer:
    """Give the function that writes the members of the object at ``path``.

    Shape: ``kept`` holds the names of the flat schema; an object of such a name is not opened.
    """
    names = _Names(path, options, _members(node))
    openers = _Openers(node, path, kept, options, names)
    leaves = _LEAVES

    def write(value: Mapping[str, Any], flat: Record) -> None:
        for key, member in value.items():
            kind = type(member)
            if kind is str or kind in leaves:
                flat[names[key]] = member
                continue
            is_mapping = kind is dict or isinstance(member, MutableMapping)
            open_member = openers[key] if is_mapping else None
            if open_member is not None:
                open_member(member, flat)
            else:
                flat[names[key]] = json_text(member) if isinstance(member, (dict, list)) else member

    return write


# --- JSON text ---


def json_text(value: Any) -> str:
    """Give a nested value as compact ASCII JSON. Decimals keep their digits; NaN and infinite numbers become null."""
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return _exact_json_text(value)


def _text_of(value: Any) -> str:
    """Give the text of what JSON has no form for."""
    if isinstance(value, Decimal):
        raise TypeError  # json can't write the digits of a Decimal: _exact_json_text does
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", errors="replace")
    return value.isoformat() if isinstance(value, datetime) else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_text_of).encode


def _exact_json_text(value: Any) -> str:
    """Do what ``json`` does, in Python, for values that hold a Decimal or a number that is not finite."""
    if isinstance(value, dict):
        members = (
            f"{encode_basestring_ascii(_key_text(key))}:{_exact_json_text(member)}" for key, member in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_exact_json_text, value)) + "]"
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else "null"
    if isinstance(value, float):
        return float.__repr__(value) if isfinite(value) else "null"
    return _encode(value)


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else _encode(key).strip('"')
