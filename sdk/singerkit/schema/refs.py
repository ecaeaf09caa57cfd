"""Making a JSON Schema usable on its own: references resolved, null allowed where needed, checked.

Nothing is fetched: a schema may come from another program, and following its links would be a request forged by it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from singerkit.errors import ConfigurationError
from singerkit.schema.walk import object_schema, rebuild, walk

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

    from singerkit.types import Breadcrumb, Schema

#: References that may be open at once, and schemas that resolving may copy: far above any real document, they stop
#: one that would grow without end (each definition twice the one before).
MAX_REFERENCE_DEPTH = 50
MAX_COPIED_SCHEMAS = 200_000

_DRAFTS = {
    "http://json-schema.org/draft-04/schema": "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema": "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema": "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema": "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema": "https://json-schema.org/draft/2020-12/schema",
}


def resolve_references(schema: Schema) -> Schema:
    """Give a copy in which every ``$ref`` is replaced by what it points to, and ``definitions``/``$defs`` are gone.

    Keywords beside a ``$ref`` win over those of its target. Where a definition contains itself, the inner one is cut
    to what stands beside the ``$ref``, usually ``{}``, which allows anything.

    Errors: ConfigurationError for a reference out of the document or to nothing, or a document that grows too large.
    """
    if not any("$ref" in part for _, part in walk(schema)):
        return deepcopy(schema)
    resolved = _Resolver(schema).resolve(schema, ())
    return {keyword: value for keyword, value in resolved.items() if keyword not in {"definitions", "$defs"}}


class _Resolver:
    """Resolves the references of one document, counting what it copies."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._copied = 0

    def resolve(self, schema: Schema, open_references: tuple[str, ...]) -> Schema:
        """Give a resolved copy; ``open_references`` are those we are inside of, outermost first."""

        def replace(_: Breadcrumb, part: Schema) -> Schema:
            self._count()
            reference = part.get("$ref")
            return self._replaced(part, reference, open_references) if isinstance(reference, str) else part

        return rebuild(_without_definitions(schema), replace)

    def _replaced(self, part: Schema, reference: str, open_references: tuple[str, ...]) -> Schema:
        beside = {keyword: value for keyword, value in part.items() if keyword != "$ref"}
        if reference in open_references:
            return beside
        if len(open_references) >= MAX_REFERENCE_DEPTH:
            raise ConfigurationError(f"schema: more than {MAX_REFERENCE_DEPTH} references nested in one another")
        target = self.resolve(_target(self._document, reference), (*open_references, reference))
        return {**target, **beside}

    def _count(self) -> None:
        self._copied += 1
        if self._copied > MAX_COPIED_SCHEMAS:
            raise ConfigurationError(f"schema: resolving its references gives more than {MAX_COPIED_SCHEMAS} schemas")


def _without_definitions(schema: Schema) -> Schema:
    """Leave out the definitions: they are resolved where they are referred to."""
    return {keyword: value for keyword, value in schema.items() if keyword not in {"definitions", "$defs"}}


def _target(document: Schema, reference: str) -> Schema:
    """Give the schema that a reference points to.

    Source: RFC 6901 (JSON Pointer), section 6 for its form in a URI.
    """
    if not reference.startswith("#") or (len(reference) > 1 and not reference.startswith("#/")):
        raise ConfigurationError(f"schema: '{reference}' is not followed; only references within it are, '#/$defs/...'")
    found: Any = document
    for token in unquote(reference).split("/")[1:]:
        found = _member(found, token.replace("~1", "/").replace("~0", "~"))
    found = object_schema(found)
    if not isinstance(found, dict):
        raise ConfigurationError(f"schema: '{reference}' points to nothing")
    return found


def _member(found: Any, token: str) -> Any:
    if isinstance(found, dict):
        return found.get(token)
    if isinstance(found, list) and token.isdecimal() and int(token) < len(found):
        return found[int(token)]
    return None


def make_nullable(schema: Schema) -> Schema:
    """Give a copy that also accepts null; one that refuses no type stays as it is."""
    copy = deepcopy(schema)
    limits = _MAY_REFUSE_NULL & copy.keys()
    if limits <= {"type", "enum"}:
        _add_null(copy)
        return copy
    if limits == {"anyOf"}:
        if {"type": "null"} not in copy["anyOf"]:
            copy["anyOf"].append({"type": "null"})
        return copy
    return {"anyOf": [copy, {"type": "null"}]}


_MAY_REFUSE_NULL = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "$ref"}


def _add_null(schema: Schema) -> None:
    """Add null to ``type`` and ``enum`` in place, where they are and lack it."""
    types = schema.get("type", "null")
    listed = types if isinstance(types, list) else [types]
    if "null" not in listed:
        schema["type"] = [*listed, "null"]
    if None not in schema.get("enum", [None]):
        schema["enum"].append(None)


def check_schema(schema: Any) -> None:
    """Refuse what is no valid JSON Schema.

    The draft is the one that ``$schema`` names; without it a schema passes that is valid under any draft from 4 on,
    as Singer never said which draft it means.

    Errors: ConfigurationError, its message begins with the path of what is wrong.
    """
    if not isinstance(schema, dict):
        raise ConfigurationError(f"schema: expected an object, found {type(schema).__name__}")
    dialect = _DRAFTS.get(str(schema.get("$schema", "")).rstrip("#"))
    drafts = [dialect] if dialect else list(_DRAFTS.values())
    problems = [_problem({**schema, "$schema": draft}) for draft in drafts]
    if None in problems:
        return
    problem = problems[-1]
    path = "/".join(str(step) for step in problem.instance_path) if problem else ""
    raise ConfigurationError(f"schema at '/{path}': is no valid JSON Schema, it breaks '{_rule(problem)}'")


def _problem(schema: Schema) -> ValidationError | None:
    """Give the first thing wrong by the draft that the schema names."""
    from jsonschema_rs import ValidationError, meta  # only here: its import takes milliseconds of every start

    try:
        meta.validate(schema)
    except ValidationError as error:
        return error
    except UnicodeEncodeError:
        raise ConfigurationError("schema: a name or text in it holds half a character (a lone surrogate)") from None
    return None


def _rule(problem: ValidationError | None) -> str:
    """Say which rule of the draft is broken."""
    return "/".join(str(step) for step in problem.schema_path[-3:]) if problem else ""
