"""Which values of a config must not be seen: those of settings that are marked, or whose name says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from singerkit.schema.walk import types_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from singerkit.types import Schema

_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "token", "secret", "apikey", "credential", "credentials", "dsn"}
)
_SECRET_WORD_PAIRS = frozenset(
    {("api", "key"), ("private", "key"), ("access", "key"), ("secret", "key"), ("auth", "key"), ("signing", "key")}
    | {("encryption", "key"), ("connection", "string"), ("sqlalchemy", "url"), ("database", "url")}
)
_PASSWORD_IN_URL = re.compile(r"\A[A-Za-z][\w+.-]*://[^/@\s]*?:([^/\s]+)@")


def secret_values(config: Mapping[str, Any], schema: Mapping[str, Any]) -> frozenset[str]:
    """Give the text of every value in a config that must not be seen.

    Those are the values, also of a wrong type, of settings marked ``secret`` or ``writeOnly``, those whose name says
    so (``api_key``) unless marked ``"secret": false``, everything inside them, and passwords in URLs.
    """
    return frozenset(_secrets_in(config, schema))


def _secrets_in(value: Any, schema: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            member_schemas = list(_member_schemas(schema, name))
            yield from _texts_of(member) if _is_secret(name, member_schemas) else _in_all(member, member_schemas)
    elif isinstance(value, list):
        item_schemas = list(_item_schemas(schema))
        for item in value:
            yield from _texts_of(item) if _is_marked(item_schemas) else _in_all(item, item_schemas)
    elif isinstance(value, str) and (password := _PASSWORD_IN_URL.match(value)):
        yield password[1]


def _in_all(value: Any, schemas: Sequence[Any]) -> Iterator[str]:
    for schema in schemas or [{}]:
        yield from _secrets_in(value, schema)


def _member_schemas(schema: Any, name: str) -> Iterator[Schema]:
    """Give every schema that speaks about a member, in all branches."""
    if isinstance(schema, dict):
        member = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
        if isinstance(member, dict):
            yield member
        for branch in _branches(schema):
            yield from _member_schemas(branch, name)


def _item_schemas(schema: Any) -> Iterator[Schema]:
    if isinstance(schema, dict):
        if isinstance(schema.get("items"), dict):
            yield schema["items"]
        for branch in _branches(schema):
            yield from _item_schemas(branch)


def _is_secret(name: str, schemas: Sequence[Schema]) -> bool:
    if _is_marked(schemas):
        return True
    if any(schema.get("secret") is False for schema in schemas):
        return False
    types = frozenset[str]().union(*(types_of(schema) for schema in schemas))
    return looks_secret(name) and (not types or not types.isdisjoint({"string", "object", "array"}))


def _is_marked(schemas: Iterable[Schema]) -> bool:
    return any(schema.get("secret") or schema.get("writeOnly") or _is_marked(_branches(schema)) for schema in schemas)


def looks_secret(name: str) -> bool:
    """Tell by its last words whether a name is a secret's: ``refreshToken`` is, ``token_url`` is not."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(".", "_").split("_")
    return words[-1] in _SECRET_WORDS or tuple(words[-2:]) in _SECRET_WORD_PAIRS


def _texts_of(value: Any) -> Iterator[str]:
    """Give every scalar inside a value as the text that a message would show."""
    if isinstance(value, dict):
        for member in value.values():
            yield from _texts_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts_of(member)
    elif value is not None and not isinstance(value, bool):
        yield str(value)
        if isinstance(value, str) and (password := _PASSWORD_IN_URL.match(value)):
            yield password[1]


def _branches(schema: Mapping[str, Any]) -> Iterator[Schema]:
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from (branch for branch in schema.get(keyword) or () if isinstance(branch, dict))


def without_secrets(value: Any, secrets: Collection[str]) -> Any:
    """Give a copy of a config, or of a part of it, with the secrets masked."""
    if isinstance(value, dict):
        return {name: without_secrets(member, secrets) for name, member in value.items()}
    if isinstance(value, list):
        return [without_secrets(member, secrets) for member in value]
    return "***" if any(text in secrets for text in _texts_of(value)) else value
