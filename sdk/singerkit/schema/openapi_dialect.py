"""From OpenAPI's dialect of JSON Schema to what a Singer catalog holds.

Source: OpenAPI 3.0.3, section 4.7.24 (Schema Object); OpenAPI 3.1.0, section 4.8.24; OpenAPI 2.0, Schema Object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from singerkit.schema.refs import make_nullable
from singerkit.schema.unions import fit_all, fit_any, typed_schema
from singerkit.schema.walk import rebuild

if TYPE_CHECKING:
    from singerkit.types import Breadcrumb, Schema

#: What says nothing about a stored record: OpenAPI's own keywords, and rules that servers break or change.
_DROPPED = frozenset(
    {
        "discriminator",
        "example",
        "externalDocs",
        "xml",
        "readOnly",
        "writeOnly",
        "nullable",
        "pattern",
        "not",
        "if",
        "then",
        "else",
        "unevaluatedProperties",
    }
)
_FORMAT_NAMES = {"datetime": "date-time", "guid": "uuid", "url": "uri"}
_FORMATS = frozenset(
    {
        *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "regex"),
        *("json-pointer", "relative-json-pointer", "singer.decimal"),
    }
)
_MOST_EXAMPLES = 50


class OpenAPISchemaNormalizer:
    """Turns resolved schemas of an OpenAPI document into schemas of streams.

    - ``allOf`` is merged; ``oneOf`` and ``anyOf`` become one schema that allows what any of them allows.
    - Properties that are only written (``writeOnly``) are left out: the API never gives them.
    - Every property but the key properties may be null, whatever the document says.
    - ``enum`` becomes ``examples`` and ``pattern`` goes: a new value at the server must not break a pipeline.
    - ``additionalProperties: false`` goes: a new property at the server is no mistake.
    """

    def preprocess_schema(self, schema: Schema, *, key_properties: Sequence[str] = ()) -> Schema:
        """Give the stream's schema; of a list, as an answer with many records is, the schema of its items."""
        if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
            schema = schema["items"]
        return self.normalize_schema(schema, key_properties=key_properties)

    def normalize_schema(self, schema: Schema, *, key_properties: Sequence[str] = ()) -> Schema:
        """Give JSON Schema for a resolved schema in OpenAPI's dialect; a new dict."""
        plain = rebuild(schema, lambda _, part: _plain(part))

        def finish(breadcrumb: Breadcrumb, part: Schema) -> Schema:
            return _finished(part, key_properties if not breadcrumb else ())

        finished = rebuild(plain, finish)
        if "object" in finished.get("type", ()):
            finished["type"] = "object"  # a record is never null
        return finished


def _plain(part: Schema) -> Schema:
    """Give one schema without alternatives and flags; those in it are so already."""
    is_nullable = part.get("nullable") is True or part.get("x-nullable") is True
    part = _typed(part)
    parts = [member for member in part.pop("allOf", ()) if isinstance(member, dict)]
    for keyword in ("anyOf", "oneOf"):
        if branches := part.pop(keyword, ()):
            parts.append(fit_any([branch for branch in branches if isinstance(branch, dict)]))
    if "properties" in part:
        part = _without_written(part)
    merged = fit_all([*parts, part])
    return make_nullable(merged) if is_nullable else merged


def _typed(part: Schema) -> Schema:
    part = _without_exclusive_flags(part)
    values = [part["const"]] if "const" in part else list(part.get("enum") or ())
    if part.get("type") == "file":  # Swagger 2
        part["type"] = "string"
    part = typed_schema(part)
    part = {keyword: value for keyword, value in part.items() if keyword not in {"const", "enum"}}
    shown = [value for value in values if value is not None][:_MOST_EXAMPLES]
    if shown:
        part["examples"] = shown
    return part


def _without_exclusive_flags(part: Schema) -> Schema:
    """Give a copy in which an exclusive bound is a number, not a flag beside the bound (draft 4, OpenAPI 3.0)."""
    part = dict(part)
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(part.get(flag), bool) and part.pop(flag) and bound in part:
            part[flag] = part.pop(bound)
    return part


def _without_written(part: Schema) -> Schema:
    written = {name for name, member in part["properties"].items() if _is_only_written(member)}
    if not written:
        return part
    kept = {name: member for name, member in part["properties"].items() if name not in written}
    required = [name for name in part.get("required", ()) if name not in written]
    rest = {keyword: value for keyword, value in part.items() if keyword not in {"properties", "required"}}
    return {**rest, "properties": kept, **({"required": required} if required else {})}


def _is_only_written(member: Any) -> bool:
    return isinstance(member, dict) and member.get("writeOnly") is True


def _finished(part: Schema, key_properties: Sequence[str]) -> Schema:
    """Give one schema of the result: known keywords, one type as text, properties that may be null."""
    part = {word: value for word, value in part.items() if word not in _DROPPED and not word.startswith("x-")}
    if part.get("additionalProperties") is False:
        del part["additionalProperties"]
    if not part.get("required", True):
        del part["required"]
    if len(part.get("type", ())) == 1 and not isinstance(part["type"], str):
        part["type"] = part["type"][0]
    if "format" in part:
        part = _with_known_format(part)
    if "properties" in part:
        part["properties"] = {
            name: member if name in key_properties or not isinstance(member, dict) else make_nullable(member)
            for name, member in part["properties"].items()
        }
    return part


def _with_known_format(part: Schema) -> Schema:
    name = _FORMAT_NAMES.get(str(part["format"]), part["format"])
    rest = {keyword: value for keyword, value in part.items() if keyword != "format"}
    return {**rest, "format": name} if name in _FORMATS and "string" in part.get("type", ("string",)) else rest
