"""An OpenAPI document (3.x, or Swagger 2) as the scaffold asks about it: where the API is, credentials, operations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from singerkit.errors import ConfigurationError, DiscoveryError
from singerkit.schema.openapi import OpenAPISchema

_JSON = re.compile(r"application/(.+\+)?json|\*/\*")
_GOOD = ("200", "2XX", "2xx", "201", "default")


class Parameter(NamedTuple):
    """A query parameter: its name and what its schema says."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool


class Operation(NamedTuple):
    """A GET.

    Shape: ``answer`` is the answer's schema, references followed; ``pointer`` leads to it in the document; ``headers``
    are the names of the answer's headers.
    """

    path: str
    parameters: list[Parameter]
    answer: Mapping[str, Any]
    pointer: str
    headers: list[str]


class Credentials(NamedTuple):
    """How requests are signed.

    Shape: ``kind`` is an answer to the template's question; ``key`` and ``location`` are an API key's, ``token_url`` is
    OAuth's.
    """

    kind: str
    key: str = ""
    location: str = "header"
    token_url: str = ""


class APIDocument:
    """An OpenAPI document."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Errors: ``ConfigurationError`` when it can't be read or is no OpenAPI document.
        """
        if not path.is_file():
            raise ConfigurationError(f"--from-openapi: there is no file '{path}'")
        #: What is said about operations whose answers can't be made out.
        self.unread: list[str] = []
        self.schemas: OpenAPISchema[str] = OpenAPISchema(path)
        try:
            self.is_v2 = self.schemas.spec_version == "v2"
        except DiscoveryError as error:
            raise ConfigurationError(f"--from-openapi: {error}") from error
        self.spec = self.schemas.spec

    @property
    def title(self) -> str:
        """What the API is called."""
        return str((self.spec.get("info") or {}).get("title") or "")

    @cached_property
    def url(self) -> str:
        """Where the API is, without a slash at the end; only a path, or nothing, where the document does not say."""
        if self.is_v2:
            host, base = self.spec.get("host"), str(self.spec.get("basePath") or "").rstrip("/")
            return f"{(self.spec.get('schemes') or ['https'])[-1]}://{host}{base}" if host else base
        server = (self.spec.get("servers") or [{}])[0]
        url = str(server.get("url") or "")
        for name, variable in (server.get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        parts = urlsplit(url)
        return url.rstrip("/") if parts.scheme in ("http", "https") else parts.path.rstrip("/")

    def operations(self) -> Iterator[Operation]:
        """Give every GET that answers with JSON, in the order of the document."""
        for path, given in (self.spec.get("paths") or {}).items():
            item = self.follow(given)
            operation = self.follow(item.get("get")) if isinstance(item, dict) else None
            if operation:
                found = self._answer(str(path), operation)
                if found is not None:
                    parameters = [*(item.get("parameters") or ()), *(operation.get("parameters") or ())]
                    yield Operation(str(path), self._queries(parameters), *found)

    def credentials(self) -> tuple[Credentials, list[str]]:
        """Give how requests are signed, and what can't be decided about it."""
        holder = self.spec if self.is_v2 else self.spec.get("components") or {}
        schemes = holder.get("securityDefinitions" if self.is_v2 else "securitySchemes") or {}
        wanted = [name for choice in self.spec.get("security") or () for name in choice] or list(schemes)
        for name in wanted:
            found = _credentials_of(self.follow(schemes.get(name)) or {})
            if found is not None:
                return found, []
        open_question = f"credentials: none of {', '.join(wanted)} is known here; declare `auth` on API"
        return Credentials("none"), [open_question] if wanted else []

    def follow(self, part: Any) -> Any:
        """Give what a reference within the document leads to; anything else as it is."""
        for _ in range(20):
            if not isinstance(part, dict) or not str(part.get("$ref", "")).startswith("#/"):
                return part
            found: Any = self.spec
            for token in part["$ref"].split("/")[1:]:
                found = found.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
            part = found
        return None

    def schema_key(self, pointer: str) -> str:
        """Give the name of the schema of a list's items, if it has one; else the pointer to the list as it stands.

        Shape: ``pointer`` leads through the answer as if ``allOf`` were merged.
        """
        found, there = self._located(self.spec, pointer.split("/")[1:]) or (None, pointer.removeprefix("#"))
        items = found.get("items") if isinstance(found, dict) else None
        reference = str((items or {}).get("$ref", ""))
        folder = "#/definitions/" if self.is_v2 else "#/components/schemas/"
        return reference.removeprefix(folder) if reference.startswith(folder) else f"#{there}"

    def _located(self, part: Any, tokens: list[str]) -> tuple[Any, str] | None:
        """Give what tokens lead to, through the parts of ``allOf`` too, and the pointer to it."""
        found = self.follow(part)
        if not tokens:
            return found, ""
        if not isinstance(found, dict):
            return None
        name = tokens[0].replace("~1", "/").replace("~0", "~")
        member = found.get(name, found.get(int(name)) if name.isdecimal() else None)
        steps = [(member, tokens[1:], f"/{tokens[0]}")] if member is not None else []
        steps += [(base, tokens, f"/allOf/{number}") for number, base in enumerate(found.get("allOf") or ())]
        for inner, rest, step in steps:
            located = self._located(inner, rest)
            if located is not None:
                return located[0], step + located[1]
        return None

    def _queries(self, parameters: list[Any]) -> list[Parameter]:
        found = [self.follow(parameter) for parameter in parameters]
        return [
            Parameter(str(each["name"]), self.follow(each.get("schema")) or each, bool(each.get("required")))
            for each in found
            if isinstance(each, dict) and each.get("in") == "query"
        ]

    def _answer(self, path: str, operation: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, list[str]] | None:
        responses = {str(status): answer for status, answer in (operation.get("responses") or {}).items()}
        status = next((status for status in _GOOD if status in responses), None)
        if status is None:
            return None
        answer = self.follow(responses[status]) or {}
        base = f"#/paths/{_token(path)}/get/responses/{status}"
        if self.is_v2:
            pointer = f"{base}/schema" if "schema" in answer else ""
        else:
            media = next((media for media in answer.get("content") or () if _JSON.match(media)), None)
            pointer = f"{base}/content/{_token(media)}/schema" if media else ""
        if not pointer:
            return None
        try:
            schema = self.schemas.resolve_schema(pointer)
        except DiscoveryError as error:
            self.unread.append(f"GET {path}: no stream, since {error}")
            return None
        return schema, pointer, list(answer.get("headers") or ())


def _token(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _credentials_of(scheme: Mapping[str, Any]) -> Credentials | None:
    kind, name = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if kind == "basic" or (kind == "http" and name == "basic"):
        return Credentials("basic")
    if kind == "http" and name == "bearer":
        return Credentials("bearer")
    if kind == "apiKey":
        location = {"query": "params", "cookie": "cookie"}.get(str(scheme.get("in")), "header")
        return Credentials("api-key", key=str(scheme.get("name")), location=location)
    if kind == "oauth2":
        flows = scheme.get("flows") or {str(scheme.get("flow")): scheme}
        for names, chosen in ((("clientCredentials", "application"), "oauth-client"), (_BY_USER, "oauth-refresh")):
            flow: Mapping[str, Any] = next((flows[name] for name in names if name in flows), {})
            if flow.get("tokenUrl"):
                return Credentials(chosen, token_url=str(flow.get("refreshUrl") or flow["tokenUrl"]))
    return None


_BY_USER = ("authorizationCode", "accessCode", "password")
