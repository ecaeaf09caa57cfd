"""The catalog: which streams a tap has, what is known of each, and what the user selected.

Three parts: the document (``Catalog``, ``CatalogEntry``, ``MetadataMapping``), what discovery writes into it
(``discovered_metadata``), and what it means (``selection_of``). Reading is lenient in form and strict in type: unknown
keys are kept, older forms of selection are understood, and what can't be meant is an error that names its path.

Source: Singer spec, DISCOVERY_MODE.md and SYNC_MODE.md.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from singerkit.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from singerkit.types import Breadcrumb, Schema

logger = logging.getLogger(__name__)

REPLICATION_METHODS = ("FULL_TABLE", "INCREMENTAL", "LOG_BASED")
INCLUSIONS = ("available", "automatic", "unsupported")
#: Selection facts that older catalogs keep in the schema itself, or beside ``tap_stream_id``.
_LEGACY_KEYS = ("inclusion", "selected", "selected-by-default")


class _Fact:
    """An attribute of ``Metadata`` that reads and writes the key of the same name, with hyphens; None is absent."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name.replace("_", "-")

    def __get__(self, instance: dict[str, Any] | None, owner: type) -> Any:
        return self if instance is None else instance.get(self.key)

    def __set__(self, instance: dict[str, Any], value: Any) -> None:
        if value is None:
            instance.pop(self.key, None)
        else:
            instance[self.key] = value


class Metadata(dict[str, Any]):
    """What the catalog says of one breadcrumb: a dict with the wire's keys, the known ones as attributes too."""

    inclusion = _Fact()
    selected = _Fact()
    selected_by_default = _Fact()

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), **facts: Any) -> None:
        """Take wire keys from ``values``, attribute names from ``facts``; None leaves a fact out."""
        super().__init__(values)
        for name, value in facts.items():
            if value is not None:
                self[name.replace("_", "-")] = value


class StreamMetadata(Metadata):
    """What the catalog says of a stream as a whole."""

    table_key_properties = _Fact()
    view_key_properties = _Fact()
    replication_key = _Fact()
    replication_method = _Fact()
    forced_replication_method = _Fact()
    valid_replication_keys = _Fact()
    schema_name = _Fact()


_NOTHING = Metadata()


class MetadataMapping(dict["Breadcrumb", Metadata]):
    """Breadcrumb to metadata; looking up a breadcrumb that is not there adds it, empty."""

    def __missing__(self, breadcrumb: Breadcrumb) -> Metadata:
        self[breadcrumb] = Metadata() if breadcrumb else StreamMetadata()
        return self[breadcrumb]

    @property
    def root(self) -> StreamMetadata:
        """The stream's own metadata, added if it is not there."""
        return self[()]  # type: ignore[return-value]  # `from_iterable` and `__missing__` see to it

    @classmethod
    def from_iterable(cls, listed: Iterable[Mapping[str, Any]]) -> MetadataMapping:
        """Read the wire's list of ``{"breadcrumb": [...], "metadata": {...}}``; a repeated breadcrumb adds up."""
        mapping = cls()
        for element in listed:
            mapping[tuple(element["breadcrumb"])].update(element["metadata"])
        return mapping

    def to_list(self) -> list[dict[str, Any]]:
        """Give the wire's list, new throughout."""
        return [{"breadcrumb": list(path), "metadata": deepcopy(dict(facts))} for path, facts in self.items()]

    @classmethod
    def get_standard_metadata(
        cls,
        *,
        schema: Schema | None = None,
        schema_name: str | None = None,
        key_properties: Sequence[str] | None = None,
        valid_replication_keys: Sequence[str] | None = None,
        replication_method: str | None = None,
        selected_by_default: bool | None = None,
    ) -> MetadataMapping:
        """Give what discovery writes, by the names that existing connectors call it with."""
        return discovered_metadata(
            schema or {},
            key_properties=key_properties,
            replication_keys=valid_replication_keys or (),
            forced_replication_method=replication_method,
            selected_by_default=selected_by_default,
            schema_name=schema_name,
        )


@dataclass(slots=True)
class CatalogEntry:
    """One stream's part of a catalog.

    Shape: the attributes are the wire's keys; ``extras`` holds the keys that have no attribute.
    """

    tap_stream_id: str
    stream: str = ""
    schema: Schema = field(default_factory=dict)
    key_properties: list[str] | None = None
    metadata: MetadataMapping = field(default_factory=MetadataMapping)
    replication_method: str | None = None
    replication_key: str | None = None
    stream_alias: str | None = None
    table_name: str | None = None
    database_name: str | None = None
    row_count: int | None = None
    is_view: bool | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Call a stream that has no name of its own by its id."""
        self.stream = self.stream or self.tap_stream_id

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], path: str = "stream") -> CatalogEntry:
        """Read an entry; selection facts in older places move to the metadata.

        Errors: CatalogError, its message begins with the JSON path, of which ``path`` is the beginning.
        """
        return _read_entry(document, path)

    def to_dict(self) -> dict[str, Any]:
        """Give the wire's form, new throughout; what is None is left out."""
        known = {name: getattr(self, name) for name in _PLAIN_KEYS}
        return {
            **{key: deepcopy(value) for key, value in known.items() if value is not None},
            **deepcopy(self.extras),
            "schema": deepcopy(self.schema),
            "metadata": self.metadata.to_list(),
        }

    @property
    def chosen_key_properties(self) -> list[str] | None:
        """The key properties: the entry's, else those that the metadata gives; None if nothing is said."""
        root = self._root()
        return self.key_properties or root.get("table-key-properties") or root.get("view-key-properties")

    @property
    def chosen_replication_method(self) -> str | None:
        """The replication method: what the user set in the metadata, else the entry's, else the forced one."""
        root = self._root()
        return root.get("replication-method") or self.replication_method or root.get("forced-replication-method")

    @property
    def chosen_replication_key(self) -> str | None:
        """The replication key: what the user set in the metadata, else the entry's."""
        return self._root().get("replication-key") or self.replication_key

    def _root(self) -> Metadata:
        """Give what the metadata says of the stream, without adding it."""
        return self.metadata.get((), _NOTHING)


_PLAIN_KEYS = tuple(f.name for f in fields(CatalogEntry) if f.name not in {"schema", "metadata", "extras"})


class Catalog(dict[str, CatalogEntry]):
    """The entries by ``tap_stream_id``, in the document's order; ``extras`` holds the document's other keys."""

    extras: dict[str, Any]

    def __init__(self, entries: Mapping[str, CatalogEntry] | Iterable[tuple[str, CatalogEntry]] = ()) -> None:
        """Take the entries; there are no extras yet."""
        super().__init__(entries)
        self.extras = {}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Catalog:
        """Read a catalog document.

        Errors: CatalogError, its message begins with the JSON path of what is wrong.
        """
        streams = _typed(document, dict, "catalog", "an object").get("streams")
        catalog = cls()
        catalog.extras = {key: deepcopy(value) for key, value in document.items() if key != "streams"}
        for index, element in enumerate(_typed(streams, list, "streams", "a list of streams")):
            entry = _read_entry(element, f"streams[{index}]")
            if entry.tap_stream_id in catalog:
                raise CatalogError(f"streams[{index}].tap_stream_id: '{entry.tap_stream_id}' is there twice")
            catalog[entry.tap_stream_id] = entry
        return catalog

    def to_dict(self) -> dict[str, Any]:
        """Give the wire's form, new throughout."""
        return {"streams": [entry.to_dict() for entry in self.values()], **deepcopy(self.extras)}

    @property
    def streams(self) -> list[CatalogEntry]:
        """The entries, in order."""
        return list(self.values())

    def add_stream(self, entry: CatalogEntry) -> None:
        """Add an entry, or replace the one of the same id."""
        self[entry.tap_stream_id] = entry

    def get_stream(self, tap_stream_id: str) -> CatalogEntry | None:
        """Give an entry, or None."""
        return self.get(tap_stream_id)


def legacy_catalog(properties_document: Mapping[str, Any]) -> Catalog:
    """Read what ``--properties`` names: a catalog from the time when a stream was selected by saying so.

    Where any stream of the document says that it is selected or not, a stream that says nothing is not.

    Errors: CatalogError, as ``Catalog.from_dict``.
    """
    catalog = Catalog.from_dict(properties_document)
    if any("selected" in entry.metadata.get((), {}) for entry in catalog.values()):
        for entry in catalog.values():
            entry.metadata.root.setdefault("selected", False)
    return catalog


# -- reading -----------------------------------------------------------------------------------------------------------


def _read_entry(document: Any, path: str) -> CatalogEntry:
    document = _typed(document, dict, path, "an object")
    name = _optional(document, "tap_stream_id", str, path) or _optional(document, "stream", str, path)
    if not name:
        raise CatalogError(f"{path}.tap_stream_id: is missing; every stream needs one, as discovery wrote it")
    try:
        return _read_named_entry(name, document, path)
    except CatalogError as error:
        error.stream = name
        raise


def _read_named_entry(name: str, document: Mapping[str, Any], path: str) -> CatalogEntry:
    schema = deepcopy(_optional(document, "schema", dict, path) or {})
    metadata = _read_metadata(document, path)
    _move_facts(document, metadata, (), path)
    _move_schema_facts(schema, metadata, (), f"{path}.schema")
    _check_method(document.get("replication_method"), f"{path}.replication_method")
    return CatalogEntry(
        tap_stream_id=name,
        stream=_optional(document, "stream", str, path) or name,
        schema=schema,
        key_properties=_names(document.get("key_properties"), f"{path}.key_properties"),
        metadata=metadata,
        replication_method=document.get("replication_method") or None,
        replication_key=_optional(document, "replication_key", str, path),
        stream_alias=_optional(document, "stream_alias", str, path),
        table_name=_optional(document, "table_name", str, path),
        database_name=_optional(document, "database_name", str, path),
        row_count=_optional(document, "row_count", int, path),
        is_view=_optional(document, "is_view", bool, path),
        extras={key: deepcopy(value) for key, value in document.items() if key not in _READ_KEYS},
    )


_READ_KEYS = {*_PLAIN_KEYS, *_LEGACY_KEYS, "schema", "metadata"}


def _read_metadata(document: Mapping[str, Any], path: str) -> MetadataMapping:
    mapping = MetadataMapping()
    for index, element in enumerate(_optional(document, "metadata", list, path) or ()):
        here = f"{path}.metadata[{index}]"
        element = _typed(element, dict, here, "an object with 'breadcrumb' and 'metadata'")
        breadcrumb = _names(element.get("breadcrumb"), f"{here}.breadcrumb")
        if breadcrumb is None:
            raise CatalogError(f"{here}.breadcrumb: is missing; it is [] for the stream, a list of names elsewhere")
        facts = _optional(element, "metadata", dict, here) or {}
        mapping[tuple(breadcrumb)].update(_checked_facts(deepcopy(facts), f"{here}.metadata"))
    return mapping


def _checked_facts(facts: dict[str, Any], path: str) -> dict[str, Any]:
    """Give the facts with selection as booleans; where it is null, it says nothing and is left out."""
    for key in ("selected", "selected-by-default"):
        if key in facts:
            facts[key] = _boolean(facts[key], f"{path}.{key}")
            if facts[key] is None:
                del facts[key]
    if facts.get("inclusion") not in (None, *INCLUSIONS):
        raise CatalogError(f"{path}.inclusion: expected one of {', '.join(INCLUSIONS)}")
    for key in ("replication-method", "forced-replication-method"):
        _check_method(facts.get(key), f"{path}.{key}")
    for key in ("table-key-properties", "view-key-properties", "valid-replication-keys"):
        _names(facts.get(key), f"{path}.{key}")
    _optional(facts, "replication-key", str, path)
    return facts


def _move_schema_facts(schema: Schema, metadata: MetadataMapping, breadcrumb: Breadcrumb, path: str) -> None:
    """Move selection facts from a schema and the properties below it to the metadata; mend a known mistake."""
    _move_facts(schema, metadata, breadcrumb, path)
    for key in _LEGACY_KEYS:
        schema.pop(key, None)
    if isinstance(schema.get("anyOf"), list):  # singer-sdk writes {"anyOf": [{...}, "null"]}, no valid schema
        schema["anyOf"] = [{"type": "null"} if branch == "null" else branch for branch in schema["anyOf"]]
    properties = schema.get("properties")
    for name, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, dict):
            _move_schema_facts(part, metadata, (*breadcrumb, "properties", name), f"{path}.properties.{name}")


def _move_facts(source: Mapping[str, Any], metadata: MetadataMapping, breadcrumb: Breadcrumb, path: str) -> None:
    """Take over what an older place says, where the metadata is silent on it."""
    found = _checked_facts({key: source[key] for key in _LEGACY_KEYS if key in source}, path)
    if found:
        facts = metadata[breadcrumb]
        facts.update({**found, **facts})


def _typed(value: Any, kind: type, path: str, expected: str) -> Any:
    if not isinstance(value, kind):
        raise CatalogError(f"{path}: expected {expected}, found {_TYPE_WORDS.get(type(value), type(value).__name__)}")
    return value


def _optional(document: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
    """Give a member, None where it is absent or null."""
    value = document.get(key)
    return None if value is None else _typed(value, kind, f"{path}.{key}", _TYPE_WORDS[kind])


_TYPE_WORDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "nothing (or null)",
}


def _names(value: Any, path: str) -> list[str] | None:
    if value is None:
        return None
    _typed(value, list, path, "a list of names")
    return [_typed(name, str, f"{path}[{index}]", "a name") for index, name in enumerate(value)]


def _boolean(value: Any, path: str) -> bool | None:
    """Read true, false, "true", "false" (the spec's own example has them as text), or null for unsaid."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise CatalogError(f"{path}: expected true or false")


def _check_method(value: Any, path: str) -> None:
    if value and value not in REPLICATION_METHODS:
        raise CatalogError(f"{path}: expected one of {', '.join(REPLICATION_METHODS)}")


# -- discovery ---------------------------------------------------------------------------------------------------------


def discovered_metadata(
    schema: Schema,
    *,
    key_properties: Sequence[str] | None,
    replication_keys: Sequence[str] = (),
    forced_replication_method: str | None = None,
    selected_by_default: bool | None = True,
    schema_name: str | None = None,
) -> MetadataMapping:
    """Give the metadata that discovery writes: facts only, never a choice (``selected``, ``replication-method``).

    Shape: the root, then every property, nested ones after their parent. Keys are ``automatic``, all else
    ``available``; keys that the schema lacks are not named.
    """
    properties = schema.get("properties") or {}
    known_keys = [name for name in key_properties or () if name in properties]
    known_replication_keys = [name for name in replication_keys if name in properties]
    root = StreamMetadata(
        inclusion="available",
        selected_by_default=selected_by_default,
        table_key_properties=known_keys,
        valid_replication_keys=known_replication_keys or None,
        forced_replication_method=forced_replication_method,
        schema_name=schema_name,
    )
    mapping = MetadataMapping({(): root})
    for breadcrumb in _property_breadcrumbs(schema):
        mapping[breadcrumb].inclusion = "available"
    for name in (*known_keys, *known_replication_keys):
        mapping["properties", name].inclusion = "automatic"
    return mapping


def _property_breadcrumbs(schema: Schema, parent: Breadcrumb = ()) -> Iterator[Breadcrumb]:
    properties = schema.get("properties")
    for name, part in properties.items() if isinstance(properties, dict) else ():
        yield (*parent, "properties", name)
        if isinstance(part, dict):
            yield from _property_breadcrumbs(part, (*parent, "properties", name))


# -- selection ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user selected of one stream.

    Shape: ``excluded`` holds the breadcrumbs that are out, each with everything below it; all others are in.
    """

    stream_selected: bool = True
    excluded: frozenset[Breadcrumb] = frozenset()

    def includes(self, breadcrumb: Breadcrumb) -> bool:
        """Say whether the value at a breadcrumb is emitted; ``()`` asks for the stream.

        A property's answer does not depend on the stream's, so that a parent stream which is not selected itself
        can be read for its children.
        """
        if not breadcrumb:
            return self.stream_selected
        return self.excluded.isdisjoint(_lineage(breadcrumb))


def _lineage(breadcrumb: Breadcrumb) -> Iterator[Breadcrumb]:
    """Give the breadcrumbs of the values on the way to this one, itself last.

    ``items`` stands alone, any other keyword is followed by a name, which may itself be "items".
    """
    end = 0
    while end < len(breadcrumb):
        end += 1 if breadcrumb[end] == "items" else 2
        yield breadcrumb[:end]


def selection_of(entry: CatalogEntry | None, schema: Schema, *, automatic: Collection[str] = ()) -> Selection:
    """Settle what is selected of a stream, from its catalog entry or, without a catalog (None), everything.

    ``automatic`` names the properties that are always emitted: key properties and replication key. First that
    applies: unsupported is out; automatic is in; ``selected``; ``selected-by-default``; as the parent. A stream whose
    metadata says neither ``selected`` nor ``selected-by-default`` is out, one that has no metadata is in (both as the
    Meltano SDK has it). A catalog that has no entry for a stream does not select it: that is for the caller to see.
    """
    if entry is None:
        return Selection()
    always = {("properties", name) for name in automatic}
    excluded = {path for path, facts in entry.metadata.items() if path and not _is_in(facts, path in always)}
    _warn_of_unknown(entry, schema)
    return Selection(stream_selected=_is_stream_in(entry.metadata.get(())), excluded=frozenset(excluded))


def _is_in(facts: Mapping[str, Any], always: bool) -> bool:
    if facts.get("inclusion") == "unsupported":
        return False
    if always or facts.get("inclusion") == "automatic":
        return True
    return bool(facts.get("selected", facts.get("selected-by-default", True)))


def _is_stream_in(facts: Mapping[str, Any] | None) -> bool:
    if not facts:
        return True
    return facts.get("inclusion") != "unsupported" and bool(
        facts.get("selected", facts.get("selected-by-default", False))
    )


def _warn_of_unknown(entry: CatalogEntry, schema: Schema) -> None:
    """Tell of a choice that names nothing: a misspelt property would otherwise be emitted against the user's will."""
    for path, facts in entry.metadata.items():
        if "selected" in facts and not _has_value_at(schema, path):
            name = " > ".join(path)
            logger.warning("Catalog of stream '%s': no property at %s, selection ignored", entry.tap_stream_id, name)


def _has_value_at(schema: Any, breadcrumb: Breadcrumb) -> bool:
    """Say whether a schema, or a branch of its anyOf, oneOf, allOf, declares the value at a breadcrumb."""
    if not breadcrumb or not isinstance(schema, dict):
        return not breadcrumb and schema is not None
    keyword, *names = breadcrumb
    part = schema.get(keyword)
    if keyword != "items":
        part = part.get(names.pop(0)) if names and isinstance(part, dict) else None
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key) or ()]
    return _has_value_at(part, tuple(names)) or any(_has_value_at(branch, breadcrumb) for branch in branches)


def deselect_all(catalog: Catalog) -> None:
    """Deselect every stream; what is said of properties stays."""
    for entry in catalog.values():
        entry.metadata.root.selected = False


def set_selected(catalog: Catalog, tap_stream_id: str, selected: bool = True, breadcrumb: Breadcrumb = ()) -> None:
    """Select, or deselect, a stream or one of its properties.

    Errors: CatalogError where the catalog has no such stream.
    """
    if tap_stream_id not in catalog:
        raise CatalogError(f"the catalog has no stream '{tap_stream_id}'; it has: {', '.join(catalog) or 'none'}")
    catalog[tap_stream_id].metadata[tuple(breadcrumb)].selected = selected
