"""The JSON Schema of singer.toml, for editors and for messages: made of the types that read it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from singerkit.runner.project.spec import Document

ADDRESS = "https://singerkit.readthedocs.io/en/latest/_static/singer.schema.json"
_TITLE = "singer.toml: taps, targets and pipelines for singerkit"


@cache
def project_schema() -> dict[str, Any]:
    """Give the schema, as JSON values; not to be changed."""
    schema: dict[str, Any] = msgspec.json.schema(Document)
    document = schema["$defs"].pop("Document")
    document.pop("title")
    whole: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": _TITLE,
        **document,
        "$defs": schema["$defs"],
    }
    tidied: dict[str, Any] = _tidied(whole)
    return tidied


def _tidied(schema: Any) -> Any:
    """Leave out what TOML can't say (null), and defaults and lists that say nothing."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: _tidied(part) for name, part in schema.items() if not _says_nothing(name, part)}
    alternatives = [part for part in tidy.get("anyOf", ()) if part != {"type": "null"}]
    if len(alternatives) == 1:
        del tidy["anyOf"]
        return {**alternatives[0], **tidy}
    return {**tidy, "anyOf": alternatives} if alternatives else tidy


def _says_nothing(name: str, part: Any) -> bool:
    is_empty_default = name == "default" and part in (None, "", [], {}, {"url": ""})
    return is_empty_default or (name == "required" and part == [])
