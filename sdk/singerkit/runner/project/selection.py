r"""Rules that make the catalog a tap is given out of what it discovered: schemas, selection, metadata.

A rule of selection is ``stream``, ``stream.property`` or ``stream.nested.property``, where names may have shell
wildcards (``*``, ``?``, ``[...]``) and ``*`` also stands for names with dots between them; ``\.`` is a dot in a name.
``!`` before it leaves out. What is left out wins, in whichever order the rules stand. Naming a property takes the
stream, the properties above it, and everything below it. Where all rules leave out, everything else is in.
Properties that the tap includes automatically stay in; what it does not support stays out.

Source: the rules of Meltano's ``select``, ``metadata``, ``schema`` and ``select_filter``, as its users know them.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from singerkit.errors import CatalogError
from singerkit.runner.job import CatalogRules
from singerkit.schema.walk import walk
from singerkit.types import Breadcrumb

_logger = logging.getLogger(__name__)

#: Between the names of nested properties: no name has it, so that a dot in a name is not taken for a level.
_LEVEL = "\0"
_DOT = re.compile(r"(?<!\\)\.")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of selection: wildcards for the stream's name and for the names of properties, outermost first."""

    text: str
    stream: str
    names: tuple[str, ...]
    leaves_out: bool

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read a rule; one that names a stream alone speaks of all its properties."""
        stream, *names = (part.replace("\\.", ".") for part in _DOT.split(text.removeprefix("!")))
        return cls(text, stream, tuple(names) or ("*",), text.startswith("!"))

    @property
    def is_for_stream(self) -> bool:
        """Whether it speaks of the stream as a whole."""
        return self.names == ("*",)

    def covers(self, path: Sequence[str]) -> bool:
        """Tell whether a property is named, or is below one that is named."""
        pattern = _LEVEL.join(self.names)
        return any(fnmatchcase(_LEVEL.join(path[:end]), pattern) for end in range(1, len(path) + 1))

    def leads_through(self, path: Sequence[str]) -> bool:
        """Tell whether a property is one of those that it names, without wildcards, above the last one.

        They are taken also where the schema does not declare what is below them.
        """
        above = self.names[:-1]
        return path == above[: len(path)] and not any(map(_WILDCARD.search, path))


def catalog_rules(
    select: Sequence[str],
    metadata: Mapping[str, Mapping[str, Any]],
    schema: Mapping[str, Mapping[str, Mapping[str, Any]]],
    streams: Sequence[str] = (),
) -> CatalogRules | None:
    """Give what changes a discovered catalog by rules, or ``None`` where there are none.

    Shape: as singer.toml has them. ``streams`` are rules for names of streams only: the others are left out. A rule
    that matches nothing is told to the log as a warning, and so is one that has no effect.
    """
    if not (select or metadata or schema or streams):
        return None

    def change(catalog: dict[str, Any]) -> dict[str, Any]:
        changed, remarks = apply_rules(catalog, select, metadata, schema, streams)
        for remark in remarks:
            _logger.warning("%s", remark)
        return changed

    return change


def apply_rules(
    catalog: Mapping[str, Any],
    select: Sequence[str] = (),
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    schema: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    streams: Sequence[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """Give a new catalog, and a sentence for each rule that matches nothing in it or has no effect.

    Errors: ``CatalogError`` when it has no list of streams that have names.
    """
    changed = copy.deepcopy(dict(catalog))
    entries = _entries_of(changed)
    remarks = _override_schemas(entries, schema or {})
    rules = [Rule.parse(text) for text in select]
    if rules:
        remarks += _select(entries, rules)
    remarks += _set_metadata(entries, metadata or {})
    if streams:
        remarks += _keep_streams(entries, [Rule.parse(text) for text in streams])
    return changed, remarks


def _entries_of(catalog: dict[str, Any]) -> list[_Entry]:
    streams = catalog.get("streams")
    if not isinstance(streams, list):
        raise CatalogError("the catalog that the tap discovered has no list of 'streams'")
    return [_Entry(document, index) for index, document in enumerate(streams)]


class _Entry:
    """One stream of a catalog, which is changed in place: taps may read keys that nobody else knows."""

    def __init__(self, document: Any, index: int) -> None:
        name = document.get("tap_stream_id") or document.get("stream") if isinstance(document, dict) else None
        if not isinstance(name, str):
            raise CatalogError(f"streams[{index}] of the catalog that the tap discovered has no 'tap_stream_id'")
        self.name = name
        self._document = document
        self._facts: dict[Breadcrumb, dict[str, Any]] = {}
        for element in document.setdefault("metadata", []) or []:
            self._facts[tuple(element.get("breadcrumb") or ())] = element.setdefault("metadata", {})

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the stream's records."""
        schema: dict[str, Any] = self._document.setdefault("schema", {"type": "object"})
        return schema

    def facts(self, breadcrumb: Breadcrumb) -> dict[str, Any]:
        """Give what the catalog says of a breadcrumb, to be changed."""
        if breadcrumb not in self._facts:
            self._facts[breadcrumb] = {}
            listed = self._document["metadata"] = self._document["metadata"] or []
            listed.append({"breadcrumb": list(breadcrumb), "metadata": self._facts[breadcrumb]})
        return self._facts[breadcrumb]

    def say(self, breadcrumb: Breadcrumb, key: str, value: Any) -> None:
        """Set a fact; those of the stream also where older taps look for them."""
        self.facts(breadcrumb)[key] = value
        if not breadcrumb and key in _OLD_KEYS:
            self._document[key.replace("-", "_")] = value

    def properties(self) -> dict[Breadcrumb, tuple[str, ...]]:
        """Give each property that schema or metadata know: its breadcrumb, and the names that lead to it."""
        known = dict.fromkeys([*(path for path, _ in walk(self.schema)), *self._facts])
        return {breadcrumb: names for breadcrumb in known if (names := _names_in(breadcrumb))}


#: What taps from before the time of metadata read from the stream itself.
_OLD_KEYS = frozenset({"selected", "replication-method", "replication-key", "key-properties"})


def _names_in(breadcrumb: Breadcrumb) -> tuple[str, ...]:
    """Give the names of the properties on the way; none where it is not a property's breadcrumb."""
    names: list[str] = []
    steps = iter(breadcrumb)
    keyword = ""
    for keyword in steps:
        if keyword == "properties":
            names.append(next(steps, ""))
        elif keyword != "items":
            return ()
    return tuple(names) if keyword == "properties" else ()


# -- selection ---------------------------------------------------------------------------------------------------------


def _select(entries: Sequence[_Entry], rules: Sequence[Rule]) -> list[str]:
    selecting = _Selecting(rules)
    for entry in entries:
        selecting.choose(entry)
    return [*selecting.unused(entries), *selecting.without_effect()]


class _Selecting:
    """Selects by rules, stream by stream, and notes which rules were of use."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._taking = [rule for rule in rules if not rule.leaves_out] or [Rule.parse("*")]
        self._leaving = [rule for rule in rules if rule.leaves_out]
        self._used: set[str] = set()
        self._kept: dict[str, list[str]] = {}

    def choose(self, entry: _Entry) -> None:
        """Say of a stream and each of its properties whether it is selected."""
        taking = [rule for rule in self._taking if fnmatchcase(entry.name, rule.stream)]
        leaving = [rule for rule in self._leaving if fnmatchcase(entry.name, rule.stream)]
        paths = entry.properties()
        self._used.update(
            rule.text for rule in (*taking, *leaving) if rule.is_for_stream or any(map(rule.covers, paths.values()))
        )
        is_in = bool(taking) and not any(rule.is_for_stream for rule in leaving)
        entry.say((), "selected", is_in and entry.facts(()).get("inclusion") != "unsupported")
        taken = _taken(paths.values(), taking)
        for breadcrumb, path in paths.items():
            inclusion = entry.facts(breadcrumb).get("inclusion")
            left = [rule for rule in leaving if rule.covers(path)]
            if inclusion == "automatic":
                self._note_kept(left if is_in else (), f"{entry.name}.{'.'.join(path)}")
            is_available = inclusion != "unsupported" and path in taken and not left
            entry.say(breadcrumb, "selected", inclusion == "automatic" or is_available)

    def _note_kept(self, rules: Iterable[Rule], name: str) -> None:
        for rule in rules:
            if not _WILDCARD.search(rule.text):  # who leaves out all of something knows that keys are not meant
                self._kept.setdefault(rule.text, []).append(name)

    def unused(self, entries: Sequence[_Entry]) -> Iterator[str]:
        """Give a sentence for each rule that nothing matched."""
        for rule in self._rules:
            if rule.text not in self._used:
                named = [entry.name for entry in entries if fnmatchcase(entry.name, rule.stream)]
                why = f"the stream '{named[0]}' has no such property" if named else _has(entries)
                yield f"select: '{rule.text}' matches nothing; {why}"

    def without_effect(self) -> Iterator[str]:
        """Give a sentence for each rule that names what can't be left out."""
        for text, names in self._kept.items():
            yield f"select: '{text}' does not leave out {', '.join(names)}: the tap always includes that"


def _taken(paths: Iterable[tuple[str, ...]], rules: Sequence[Rule]) -> set[tuple[str, ...]]:
    """Give the properties that rules take, with those above them."""
    taken: set[tuple[str, ...]] = set()
    for path in paths:
        if any(rule.covers(path) for rule in rules):
            taken.update(path[:end] for end in range(1, len(path) + 1))
        elif any(rule.leads_through(path) for rule in rules):
            taken.add(path)
    return taken


def _keep_streams(entries: Sequence[_Entry], rules: Sequence[Rule]) -> list[str]:
    keeping = [rule.stream for rule in rules if not rule.leaves_out] or ["*"]
    leaving = [rule.stream for rule in rules if rule.leaves_out]
    for entry in entries:
        is_kept = any(fnmatchcase(entry.name, pattern) for pattern in keeping)
        if not is_kept or any(fnmatchcase(entry.name, pattern) for pattern in leaving):
            entry.say((), "selected", False)
    return [
        f"streams: '{rule.text}' matches no stream; {_has(entries)}"
        for rule in rules
        if not any(fnmatchcase(entry.name, rule.stream) for entry in entries)
    ]


# -- overrides ---------------------------------------------------------------------------------------------------------


def _override_schemas(entries: Sequence[_Entry], overrides: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Put schemas in the place of discovered ones; a property that is not there, and no wildcard, is added."""
    remarks = []
    for stream, properties in overrides.items():
        matching = [entry for entry in entries if fnmatchcase(entry.name, stream)]
        if not matching:
            remarks.append(_no_stream("schema", stream, entries))
        for name, replacement in properties.items():
            if matching and not sum(_override_schema(entry, name, replacement) for entry in matching):
                remarks.append(f"schema.{stream}.{name} matches no property")
    return remarks


def _override_schema(entry: _Entry, pattern: str, replacement: Mapping[str, Any]) -> int:
    properties = entry.schema.setdefault("properties", {})
    names = [name for name in properties if fnmatchcase(name, pattern)]
    if not names and not _WILDCARD.search(pattern):
        names = [pattern]
    for name in names:
        properties[name] = copy.deepcopy(dict(replacement))
    return len(names)


_WILDCARD = re.compile(r"[*?\[]")


def _set_metadata(entries: Sequence[_Entry], overrides: Mapping[str, Mapping[str, Any]]) -> list[str]:
    remarks = []
    for stream, facts in overrides.items():
        matching = [entry for entry in entries if fnmatchcase(entry.name, stream)]
        if not matching:
            remarks.append(_no_stream("metadata", stream, entries))
            continue
        for names, key, value in _facts_in(facts, ()):
            count = sum(_set_fact(entry, _LEVEL.join(names), key, value) for entry in matching)
            if not count:
                remarks.append(f"metadata.{stream}.{'.'.join(names)} matches no property")
    return remarks


def _facts_in(facts: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Give the names of properties, the key and the value of each fact: a table is a property, all else a fact."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _facts_in(value, (*above, key))
        else:
            yield above, key, value


def _set_fact(entry: _Entry, pattern: str, key: str, value: Any) -> int:
    if not pattern:
        entry.say((), key, value)
        return 1
    matching = [path for path, names in entry.properties().items() if fnmatchcase(_LEVEL.join(names), pattern)]
    for breadcrumb in matching:
        entry.say(breadcrumb, key, value)
    return len(matching)


def _no_stream(what: str, pattern: str, entries: Sequence[_Entry]) -> str:
    return f"{what}.{pattern} matches no stream; {_has(entries)}"


def _has(entries: Sequence[_Entry]) -> str:
    return f"the tap has: {', '.join(entry.name for entry in entries) or 'none'}"
