"""Following the references of an OpenAPI document, from one schema on.

What makes it harder than in a JSON Schema: documents have hundreds of schemas that refer to each other in circles, and
a schema with a ``discriminator`` stands for its subtypes, which refer to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from singerkit.errors import DiscoveryError
from singerkit.schema.refs import MAX_REFERENCE_DEPTH
from singerkit.schema.walk import rebuild

if TYPE_CHECKING:
    from singerkit.types import Breadcrumb, Schema

__all__ = ["MAX_REFERENCE_DEPTH", "OpenAPIResolver"]

#: Schemas within one stream's schema: no table or catalog is of use with more.
MAX_RESOLVED_SCHEMAS = 20_000

_COMBINING = frozenset({"allOf", "anyOf", "oneOf", "discriminator", "$ref"})
#: Keywords beside a ``$ref`` that are more than a note: they and the target hold together.
_STRUCTURE = frozenset({"properties", "required", "items", "allOf", "anyOf", "oneOf", "enum", "type"})


class _Open(NamedTuple):
    """A reference that we are inside of; ``same_value`` while no property or item lies between."""

    reference: str
    same_value: bool


class OpenAPIResolver:
    """Resolves schemas of one document."""

    def __init__(self, document: dict[str, Any], name: str, folder: str, *, max_depth: int) -> None:
        """Take the document, what messages call it, and the pointer of its named schemas (``#/definitions/``)."""
        self._document = document
        self._name = name
        self._folder = folder
        self._max_depth = max_depth
        self._copied = 0

    def resolve(self, schema: Schema) -> Schema:
        """Give a copy without references; subtypes of discriminated schemas are in ``anyOf``.

        Errors: ``DiscoveryError`` for a reference to nothing, out of the document, or in a circle without content.
        """
        self._copied = 0
        return deepcopy(self._resolved(schema, ()))

    def _resolved(self, schema: Schema, inside: tuple[_Open, ...]) -> Schema:
        below = tuple(_Open(reference, False) for reference, _ in inside)

        def change(breadcrumb: Breadcrumb, part: Schema) -> Schema:
            self._count()
            here = below if breadcrumb else inside
            if isinstance(part.get("$ref"), str):
                return self._followed(part, here)
            if "discriminator" in part and not part.keys() & {"anyOf", "oneOf"} and not breadcrumb and inside:
                return self._with_subtypes(part, inside)
            return part

        return rebuild({word: value for word, value in schema.items() if word not in {"definitions", "$defs"}}, change)

    def _followed(self, part: Schema, inside: tuple[_Open, ...]) -> Schema:
        reference = part["$ref"]
        beside = {keyword: value for keyword, value in part.items() if keyword != "$ref"}
        target = self._target_schema(reference)
        opened = [one for one in inside if one.reference == reference]
        if opened and opened[-1].same_value:
            resolved = self._own_content(target, reference, inside)
        elif opened or len(inside) >= self._max_depth:
            resolved = _cut(target)
        else:
            resolved = self._resolved(target, (*inside, _Open(reference, True)))
        return {"allOf": [resolved, beside]} if beside.keys() & _STRUCTURE else {**resolved, **beside}

    def _own_content(self, target: Schema, reference: str, inside: tuple[_Open, ...]) -> Schema:
        """Give what a schema says itself, for where one of its own alternatives or parts refers back to it."""
        own = {keyword: value for keyword, value in target.items() if keyword not in _COMBINING}
        if not own.keys() & {"type", "properties", "items", "enum"}:
            names = [one.reference for one in inside if one.same_value]
            circle = " > ".join([*names[names.index(reference) :], reference])
            raise DiscoveryError(
                f"'{self._name}': '{reference}' refers to itself and says nothing else ({circle}); correct the document"
            )
        return self._resolved(own, inside)

    # Discriminators (OpenAPI 3.1.0, section 4.8.25)

    def _with_subtypes(self, part: Schema, inside: tuple[_Open, ...]) -> Schema:
        """Give the alternatives that a schema with a discriminator stands for: itself and its subtypes."""
        own = {keyword: value for keyword, value in part.items() if keyword != "discriminator"}
        subtypes = self._subtypes_of(inside[-1].reference, part["discriminator"])
        if not subtypes or any(one.reference in subtypes for one in inside if one.same_value):
            return own  # it is a subtype that brought us here
        alternatives = [self._followed({"$ref": subtype}, inside) for subtype in subtypes]
        return {"anyOf": [own, *alternatives]}

    def _subtypes_of(self, reference: str, discriminator: Any) -> list[str]:
        """Give the references of all subtypes: those that the mapping names, those that extend it, and theirs."""
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        found = [name if "#" in name or "/" in name else self._folder + name for name in (mapping or {}).values()]
        found.extend(self._extensions.get(reference, ()))
        for subtype in found:
            found.extend(name for name in self._extensions.get(subtype, ()) if name not in found)
        return [name for name in dict.fromkeys(found) if name != reference]

    @cached_property
    def _extensions(self) -> dict[str, list[str]]:
        """Named schemas that extend another by ``allOf``, by the reference of the other."""
        extensions: dict[str, list[str]] = {}
        for name, schema in (self._found(self._folder[:-1]) or {}).items():
            for base in _bases(schema):
                extensions.setdefault(base, []).append(self._folder + name.replace("~", "~0").replace("/", "~1"))
        return extensions

    # Pointers

    def _target_schema(self, reference: str) -> Schema:
        found = self._found(reference)
        if isinstance(found, bool):
            return {} if found else {"not": {}}
        if not isinstance(found, dict):
            raise DiscoveryError(f"'{self._name}': '{reference}' points to nothing; correct the reference or the key")
        return found

    def _found(self, reference: str) -> Any:
        """Follow a pointer (RFC 6901), and the references on its way."""
        if not reference.startswith("#/"):
            raise DiscoveryError(
                f"'{self._name}': the reference '{reference}' leads out of the document and is not followed; bundle "
                "the documents into one first (for instance with 'redocly bundle' or 'swagger-cli bundle')"
            )
        found: Any = self._document
        seen: set[str] = set()
        for token in unquote(reference).split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            while isinstance(found, dict) and name not in found and isinstance(found.get("$ref"), str):
                if found["$ref"] in seen:
                    return None
                seen.add(found["$ref"])
                found = self._found(found["$ref"])
            found = _member(found, name)
        return found

    def _count(self) -> None:
        self._copied += 1
        if self._copied > MAX_RESOLVED_SCHEMAS:
            raise DiscoveryError(
                f"'{self._name}': following its references gives more than {MAX_RESOLVED_SCHEMAS} schemas; say how "
                "deep to follow them, for instance OpenAPISchema(..., max_reference_depth=3)"
            )


def _bases(schema: Any) -> Iterator[str]:
    parts = schema.get("allOf") if isinstance(schema, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            yield part["$ref"]


def _cut(target: Schema) -> Schema:
    """Give what is known of a schema that is not followed further: its type."""
    if "type" in target:
        return {keyword: target[keyword] for keyword in ("type", "nullable") if keyword in target}
    return {"type": "object"} if target.keys() & {"properties", "allOf"} else {}


def _member(found: Any, name: str) -> Any:
    if isinstance(found, dict):
        # A status may be a number where the document was given as a dict.
        return found.get(name, found.get(int(name)) if name.isdecimal() else None)
    if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
        return found[int(name)]
    return None
