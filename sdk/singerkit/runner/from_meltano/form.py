"""The form of what is read of a meltano.yml, as a JSON Schema; what else is in it is nobody's business here."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": ["string", "null"]}
_TEXTS = {"type": ["array", "null"], "items": {"type": "string"}}
_TABLE = {"type": ["object", "null"]}


def _list_of(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    item = {"type": "object", "properties": {"name": {"type": "string"}, **properties}, "required": [*required]}
    return {"type": ["array", "null"], "items": item}


_PLUGINS = {
    "type": ["object", "null"],
    "additionalProperties": _list_of(
        {
            **dict.fromkeys(("inherit_from", "variant", "pip_url", "executable", "namespace", "catalog"), _TEXT),
            **dict.fromkeys(("config", "env", "commands"), _TABLE),
            **dict.fromkeys(("select", "select_filter", "capabilities"), _TEXTS),
            "metadata": {**_TABLE, "additionalProperties": {"type": "object"}},
            "schema": {
                **_TABLE,
                "additionalProperties": {"type": "object", "additionalProperties": {"type": "object"}},
            },
            "settings": _list_of({}, "name"),
            "mappings": _list_of({"config": _TABLE}, "name"),
        },
        "name",
    ),
}
FORM: dict[str, Any] = {
    "properties": {
        "include_paths": _TEXTS,
        "env": _TABLE,
        "plugins": _PLUGINS,
        "environments": _list_of({"config": {**_TABLE, "properties": {"plugins": _PLUGINS}}}, "name"),
        "jobs": _list_of({"tasks": {"type": ["array", "string"]}}, "name"),
        "schedules": _list_of(dict.fromkeys(("job", "extractor", "loader", "interval"), _TEXT), "name"),
    }
}
