"""Stream maps: what the user's ``stream_maps`` setting makes of a stream, decided once per stream.

The rules are those that existing configs are written for. A map comes first, flattening after it, so expressions see
the record as the stream has it, and the flattened names are those of the mapped properties.

How the rules apply to one stream: a rule's key (or its ``__source__``) is a stream name or a pattern like ``orders_*``.
The last rule without ``__source__`` that matches makes the stream's own output; each with ``__source__`` adds another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from singerkit.errors import DataError, MappingError, MissingExtraError
from singerkit.records.flatten import FlattenOptions, compile_flatten, flatten_options, flatten_schema
from singerkit.schema.walk import is_nullable
from singerkit.types import Record, Schema, Step

if TYPE_CHECKING:
    from singerkit.records.expression import Expression

logger = logging.getLogger(__name__)

_ELSE = "__else__"
_FILTER = "__filter__"
_SOURCE = "__source__"
_ALIAS = "__alias__"
_KEY_PROPERTIES = "__key_properties__"
_RULES = (_ELSE, _FILTER, _SOURCE, _ALIAS, _KEY_PROPERTIES)
_NULL_TEXT = "__NULL__"

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Schema = {"type": ["string", "null"]}
_DATE: Schema = {"type": ["string", "null"], "format": "date"}
_INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}

#: What an expression looks like, and the schema that its property then gets; the first that fits counts.
_TYPES_BY_FORM: tuple[tuple[Callable[[str], bool], Schema], ...] = (
    (lambda source: source.startswith("float("), {"type": ["number", "null"]}),
    (lambda source: source.startswith("int("), {"type": ["integer", "null"]}),
    (lambda source: source.startswith(("str(", "json.dumps(")), _TEXT),
    (lambda source: source.startswith("bool("), {"type": ["boolean", "null"]}),
    (lambda source: source.startswith(("datetime.date.", "datetime.date(")) or source.endswith(".date()"), _DATE),
    (lambda source: source.startswith(("datetime.datetime.", "datetime.datetime(")), _INSTANT),
    (lambda source: source.startswith("'") and source.endswith("'"), _TEXT),
)


@dataclass(frozen=True)
class OutputStream:
    """One stream as it leaves: a step never changes its argument; None means that records pass as they are."""

    name: str
    schema: Schema
    key_properties: tuple[str, ...]
    step: Step | None


@dataclass(frozen=True)
class _Rule:
    """One entry of ``stream_maps`` that applies to the stream at hand; ``members`` None: the stream is removed."""

    output_name: str
    adds_output: bool
    members: Mapping[str, Any] | None


@dataclass(frozen=True)
class _Stream:
    """The stream that is mapped, with what all of its rules share."""

    name: str
    schema: Schema
    key_properties: tuple[str, ...]
    flatten: FlattenOptions | None
    config: Mapping[str, Any]
    open_fake: Callable[[], Any]


def plan_outputs(
    stream_name: str, schema: Schema, key_properties: Sequence[str] | None, config: Mapping[str, Any]
) -> tuple[OutputStream, ...]:
    """Decide what becomes of a stream; empty when it is removed.

    Shape: reads ``stream_maps``, ``stream_map_config``, ``faker_config`` and ``flattening_*`` of ``config``. The
    stream's own output comes first.

    Errors: MappingError naming stream, property and what to do; MissingExtraError where ``fake`` needs Faker.
    """
    maps = config.get("stream_maps") or {}
    keeps_unmapped = _check_maps(maps)
    stream = _Stream(
        name=stream_name,
        schema=schema,
        key_properties=tuple(key_properties or ()),
        flatten=flatten_options(config),
        config=_plain(config.get("stream_map_config") or {}),
        open_fake=_fake_opener(stream_name, config.get("faker_config") or {}),
    )
    own = _Rule(stream_name, False, {} if keeps_unmapped else None)
    added = []
    for rule in _matching_rules(stream_name, maps):
        if rule.adds_output:
            added.append(rule)
        else:
            own = rule
    return tuple(
        _plan_output(stream, rule.output_name, rule.members) for rule in (own, *added) if rule.members is not None
    )


def _is_null(value: Any) -> bool:
    return value is None or value == _NULL_TEXT


# --- which rules ---


def _check_maps(maps: Mapping[str, Any]) -> bool:
    """Check the top level of ``stream_maps``; say whether streams without a rule are kept."""
    for key in maps:
        if key.startswith("__") and key != _ELSE:
            raise MappingError(f"stream_maps: '{key}' is no stream name; only '{_ELSE}' may begin with '__' here")
    if _ELSE not in maps:
        return True
    if not _is_null(maps[_ELSE]):
        raise MappingError(f"stream_maps: '{_ELSE}' must be null, which leaves out the streams that no rule names")
    return False


def _matching_rules(stream_name: str, maps: Mapping[str, Any]) -> list[_Rule]:
    """Give the rules for this stream, in the order of the config."""
    rules = [_matching_rule(stream_name, key, value) for key, value in maps.items() if key != _ELSE]
    return [rule for rule in rules if rule is not None]


def _matching_rule(stream_name: str, key: str, value: Any) -> _Rule | None:
    """Read one entry; None when it is for other streams."""
    if not isinstance(value, Mapping) and not _is_null(value):
        raise MappingError(
            f"stream_maps: '{key}' must hold an object of rules, or null to remove the stream", stream=key
        )
    members = dict(value) if isinstance(value, Mapping) else None
    adds_output = members is not None and _SOURCE in members
    source = members.pop(_SOURCE) if members is not None and adds_output else key
    if not isinstance(source, str):
        raise MappingError(f"stream_maps: '{_SOURCE}' of '{key}' must be a stream name", stream=key)
    if stream_name != source and not fnmatchcase(stream_name, source):
        return None
    if members is None:
        return _Rule(stream_name, False, None)
    if adds_output and _ALIAS in members:
        message = (
            f"stream_maps: '{key}' has both '{_SOURCE}' and '{_ALIAS}'; the output's name is the key, remove '{_ALIAS}'"
        )
        raise MappingError(message, stream=key)
    name = _output_name(members.pop(_ALIAS), stream_name) if _ALIAS in members else key
    return _Rule(stream_name if name == source else name, adds_output, members)


def _output_name(source: Any, stream_name: str) -> str:
    """Evaluate an ``__alias__``: an expression over ``__stream_name__``, or a plain name."""
    if not isinstance(source, str):
        raise MappingError(f"'{_ALIAS}' must be text: a name or an expression", stream=stream_name)
    from singerkit.records.expression import Scope, UnknownNameError, compile_in_scope  # as in _member_compiler

    scope = Scope(
        constants={"__stream_name__": stream_name}, where=f"'{_ALIAS}'", stream=stream_name, record_names=frozenset()
    )
    try:
        name = compile_in_scope(source, scope)({})
    except UnknownNameError:
        return source
    except DataError as error:
        raise MappingError(str(error), stream=stream_name) from None
    if isinstance(name, str) and name:
        return name
    if isinstance(name, (int, float)):
        return source
    raise MappingError(f"'{_ALIAS}' must give text; write a plain name in quotes", stream=stream_name)


# --- one output ---


def _plan_output(stream: _Stream, output_name: str, members: Mapping[str, Any]) -> OutputStream:
    """Plan one output: map, then flatten."""
    unmapped = OutputStream(output_name, stream.schema, stream.key_properties, None)
    mapped = _plan_map(stream, output_name, dict(members)) if members else unmapped
    if stream.flatten is None:
        return mapped
    flatten = compile_flatten(mapped.schema, stream.flatten)
    schema = flatten_schema(mapped.schema, stream.flatten)
    return OutputStream(mapped.name, schema, mapped.key_properties, _chained(mapped.step, flatten))


def _chained(first: Step | None, second: Step | None) -> Step | None:
    """Give the step that does both; None when there is nothing to do."""
    if first is None or second is None:
        return first or second

    def both(record: Record) -> Record | None:
        mapped = first(record)
        return None if mapped is None else second(mapped)

    return both


def _plan_map(stream: _Stream, output_name: str, members: dict[str, Any]) -> OutputStream:
    """Plan the map of one output, before flattening."""
    keys = _mapped_keys(stream, members)
    keeps_rest = _keeps_rest(stream, members)
    filter_source = members.pop(_FILTER, None)
    _check_members(stream, members, keys)
    schema = _mapped_schema(stream.schema, members, keeps_rest=keeps_rest)
    _check_keys(stream, keys, schema)
    compile_member = _member_compiler(stream, output_name)
    assigned = [(name, compile_member(source, name)) for name, source in members.items() if not _is_null(source)]
    removed = [name for name, source in members.items() if _is_null(source)] if keeps_rest else []
    keep = None if filter_source is None else compile_member(filter_source, None)
    step = _map_step(assigned, removed, keys, keeps_rest=keeps_rest)
    return OutputStream(output_name, schema, keys, step if keep is None else _filter_step(keep, step))


def _mapped_keys(stream: _Stream, members: dict[str, Any]) -> tuple[str, ...]:
    """Take ``__key_properties__`` out of the rule; without it the stream's own keys stay."""
    if _KEY_PROPERTIES not in members:
        return stream.key_properties
    keys = members.pop(_KEY_PROPERTIES)
    if keys is None:
        return ()
    if isinstance(keys, (list, tuple)) and all(isinstance(key, str) for key in keys):
        return tuple(keys)
    raise MappingError(f"'{_KEY_PROPERTIES}' must be a list of property names, or null", stream=stream.name)


def _keeps_rest(stream: _Stream, members: dict[str, Any]) -> bool:
    """Take ``__else__`` out of the rule; say whether properties that it does not name are kept."""
    if _ELSE not in members:
        return True
    if not _is_null(members.pop(_ELSE)):
        message = f"'{_ELSE}' must be null, which leaves out the properties that the map does not name"
        raise MappingError(message, stream=stream.name)
    return False


def _check_members(stream: _Stream, members: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse what is neither an expression nor null, and the removal of a key property; warn of what looks misspelt."""
    properties = stream.schema.get("properties") or {}
    for name, source in members.items():
        if name not in properties:
            _look_for_misspelling(stream, name, properties, removes=_is_null(source))
        if _is_null(source):
            if name in keys:
                message = (
                    f"the map removes the key property '{name}'; set '{_KEY_PROPERTIES}' to other properties or to null"
                )
                raise MappingError(message, stream=stream.name)
        elif not isinstance(source, str):
            kind = type(source).__name__
            message = f"property '{name}': an expression is text or null, not {kind}; write it in quotes"
            raise MappingError(message, stream=stream.name)


def _look_for_misspelling(stream: _Stream, name: str, properties: Mapping[str, Any], *, removes: bool) -> None:
    """Refuse a rule with a misspelt name; say that a property which is to go may be meant for another."""
    from difflib import get_close_matches

    if name.startswith("__") and (rules := get_close_matches(name, _RULES, n=1, cutoff=0.7)):
        raise MappingError(f"there is no rule '{name}'; did you mean '{rules[0]}'?", stream=stream.name)
    if removes and (meant := get_close_matches(name, properties, n=1, cutoff=0.7)):
        logger.warning(
            "Stream '%s': the map removes '%s', which the schema does not name; did you mean '%s'?",
            stream.name,
            name,
            meant[0],
        )


def _check_keys(stream: _Stream, keys: tuple[str, ...], schema: Schema) -> None:
    """Refuse key properties that the mapped records do not have."""
    missing = [key for key in keys if key not in schema["properties"]]
    if missing:
        message = (
            f'the map leaves out the key property \'{missing[0]}\'; add "{missing[0]}": "{missing[0]}", or set '
            f"'{_KEY_PROPERTIES}' to other properties or to null"
        )
        raise MappingError(message, stream=stream.name)


def _member_compiler(stream: _Stream, output_name: str) -> Callable[[Any, str | None], Expression]:
    """Give the function that compiles the expression of a property, or of the filter (None)."""
    from singerkit.records.expression import Scope, compile_in_scope  # slow to import, and most streams have no map

    properties = frozenset(stream.schema.get("properties") or ())
    is_open = stream.schema.get("additionalProperties") is not False or "patternProperties" in stream.schema
    constants = {"config": stream.config, "__stream_name__": output_name, "__original_stream_name__": stream.name}

    def compile_member(source: Any, name: str | None) -> Expression:
        where = f"'{_FILTER}'" if name is None else f"property '{name}'"
        if not isinstance(source, str):
            raise MappingError(f"{where}: an expression is text", stream=stream.name)
        scope = Scope(
            properties=properties,
            is_open=is_open,
            constants=constants,
            own=name,
            where=where,
            stream=stream.name,
            open_fake=None if "fake" in properties and not _has_faker() else stream.open_fake,
        )
        return compile_in_scope(source, scope)

    return compile_member


# --- the schema ---


def _mapped_schema(schema: Schema, members: Mapping[str, Any], *, keeps_rest: bool) -> Schema:
    """Give the schema of the mapped records.

    A property gets the type that the form of its expression tells; otherwise it keeps the one it has, or gets that of
    the property which its expression names, or is text. One removed earlier in the rule lends no type.
    """
    original = deepcopy(schema)
    original.setdefault("properties", {})
    mapped: Schema = original if keeps_rest else {"type": "object", "properties": {}, "$schema": _DRAFT}
    properties = mapped["properties"]
    required = list(mapped.get("required", ()))
    for name, source in members.items():
        if _is_null(source):
            properties.pop(name, None)
            required = [other for other in required if other != name]
        else:
            existing = properties.get(name) or original["properties"].get(source)
            properties[name] = _member_schema(source, existing, original)
    return {**mapped, "required": required} if "required" in mapped else mapped


def _member_schema(source: str, existing: Any, original: Schema) -> Schema:
    """Give the schema of a property that an expression makes; it may always be null."""
    if source == "record":
        return _nullable(deepcopy(original))
    for fits, schema in _TYPES_BY_FORM:
        if fits(source):
            return deepcopy(schema)
    return _nullable(deepcopy(existing)) if existing and isinstance(existing, dict) else deepcopy(_TEXT)


def _nullable(schema: Schema) -> Schema:
    """Let null be a value too, where the schema says which types there are."""
    if is_nullable(schema):
        return schema
    declared = schema.get("type")
    if isinstance(declared, str):
        return {**schema, "type": [declared, "null"]}
    if isinstance(declared, list):
        return {**schema, "type": [*declared, "null"]}
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return {**schema, keyword: [*schema[keyword], {"type": "null"}]}
    return schema


# --- the step ---


def _map_step(
    assigned: Sequence[tuple[str, Expression]], removed: Sequence[str], keys: Sequence[str], *, keeps_rest: bool
) -> Step | None:
    """Give the step that makes the mapped record; an empty one is dropped. None when nothing changes."""
    if not keeps_rest:
        return _select_step(assigned, keys)
    if not assigned and not removed:
        return None

    def change(record: Record) -> Record | None:
        mapped = record.copy()
        for name in removed:
            mapped.pop(name, None)
        for name, evaluate in assigned:
            mapped[name] = evaluate(record)
        return mapped or None

    return change


def _select_step(assigned: Sequence[tuple[str, Expression]], keys: Sequence[str]) -> Step:
    """Give the step for ``__else__: null``: key properties, and what the map names."""

    def select(record: Record) -> Record | None:
        mapped = {key: record[key] for key in keys if key in record}
        for name, evaluate in assigned:
            mapped[name] = evaluate(record)
        return mapped or None

    return select


def _filter_step(keep: Expression, change: Step | None) -> Step:
    """Give the step that drops what the filter does not keep, and changes the rest."""
    if change is None:
        return lambda record: record if keep(record) else None
    return lambda record: change(record) if keep(record) else None


# --- config and Faker ---


def _plain(value: Any) -> Any:
    """Give config values as plain dicts and lists, which is what expressions know."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, (list, tuple)) else value


def _has_faker() -> bool:
    return find_spec("faker") is not None


def _fake_opener(stream_name: str, config: Mapping[str, Any]) -> Callable[[], Any]:
    """Give the function that opens one Faker for a stream, seeded on its own, so that streams can run side by side."""

    @cache
    def open_fake() -> Any:
        if not _has_faker():
            message = "a stream map uses 'fake', which needs the extra 'faker': pip install 'singerkit[faker]'"
            raise MissingExtraError(message, stream=stream_name)
        faker = import_module("faker").Faker
        locale = config.get("locale")
        fake = faker(locale) if locale else faker()
        seed = config.get("seed")
        if seed is not None and len(fake.factories) == 1:
            fake.seed_instance(seed)
        elif seed is not None:
            faker.seed(seed)  # the choice between several locales is drawn from Faker's shared source
        return fake

    return open_fake
