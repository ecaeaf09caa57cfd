"""The module with the streams of an OpenAPI document, as text."""

from __future__ import annotations

from typing import NamedTuple

from singerkit.scaffold.openapi_document import Credentials
from singerkit.scaffold.openapi_samples import Sampled
from singerkit.scaffold.openapi_streams import StreamPlan

_WIDTH = 120
_AUTHENTICATORS = {
    "bearer": ("BearerTokenAuthenticator", ['token="{token}"']),
    "basic": ("BasicAuthenticator", ['username="{username}"', 'password="{password}"']),
    "api-key": ("APIKeyAuthenticator", []),
    "oauth-client": ("OAuthAuthenticator", ['auth_endpoint="{token_url}"']),
    "oauth-refresh": ("OAuthAuthenticator", ['auth_endpoint="{token_url}"', 'refresh_token="{refresh_token}"']),
}


class Source(NamedTuple):
    """What a tap is made of: the file's name beside its streams, the streams, how requests are signed."""

    file_name: str
    streams: list[Sampled]
    credentials: Credentials


def streams_module(source: Source) -> str:
    """Give the text of the module, formatted."""
    plans = [stream.plan for stream in source.streams]
    auth = _auth(source.credentials)
    names = {"OpenAPISchema", "RESTStream", "StreamSchema", *(plan.paginator[0] for plan in plans if plan.paginator)}
    names |= {"Incremental"} if any(plan.incremental for plan in plans) else set()
    names |= {auth[0]} if auth else set()
    lines = [
        f'"""The streams of the API, as its document says them: {source.file_name}."""',
        "",
        "from pathlib import Path",
        "",
        *_import(sorted(names)),
        "",
        f'DOCUMENT: OpenAPISchema[str] = OpenAPISchema(Path(__file__).parent / "{source.file_name}")',
        "",
        "",
        "class API(RESTStream[object]):",
        '    """What all streams have in common: where the API is, and how requests are signed."""',
        "",
        '    url_base = "{api_url}"',
        *(_assigned("auth", *auth) if auth else []),
        "",
    ]
    for plan in plans:
        lines += ["", *_stream(plan), ""]
    return "\n".join([*lines, "", *_tuple("STREAMS", [plan.class_name for plan in plans]), ""])


def _auth(credentials: Credentials) -> tuple[str, list[str]] | None:
    if credentials.kind == "none":
        return None
    name, arguments = _AUTHENTICATORS[credentials.kind]
    if credentials.kind == "api-key":
        place = [] if credentials.location == "header" else [f'location="{credentials.location}"']
        arguments = [f'key="{credentials.key}"', 'value="{api_key}"', *place]
    return name, arguments


def _stream(plan: StreamPlan) -> list[str]:
    keys = "".join(f'"{key}", ' for key in plan.primary_keys)
    lines = [
        f"class {plan.class_name}(API):",
        f'    """GET {plan.operation.path}."""',
        "",
        f'    name = "{plan.name}"',
        f'    path = "{plan.operation.path}"',
        f"    primary_keys = ({keys.rstrip() if len(plan.primary_keys) == 1 else keys.rstrip(', ')})",
        f'    records_jsonpath = "{plan.records_jsonpath}"',
    ]
    if plan.replication_key:
        lines.append(f'    replication_key = "{plan.replication_key}"')
        lines += _assigned("incremental", "Incremental", plan.incremental.split(", "))
    if plan.paginator:
        lines += _assigned("paginator", plan.paginator[0], list(filter(None, plan.paginator[1].split(", "))))
    return [*lines, *_assigned("schema", "StreamSchema", ["DOCUMENT", f'key="{plan.schema_pointer}"'])]


def _assigned(name: str, called: str, arguments: list[str]) -> list[str]:
    """Give an assignment in the body of a class, in as few lines as fit."""
    whole = f"    {name} = {called}({', '.join(arguments)})"
    if len(whole) <= _WIDTH:
        return [whole]
    inner = f"        {', '.join(arguments)}"
    inside = [inner] if len(inner) <= _WIDTH else [f"        {argument}," for argument in arguments]
    return [f"    {name} = {called}(", *inside, "    )"]


def _import(names: list[str]) -> list[str]:
    whole = f"from singerkit import {', '.join(names)}"
    return [whole] if len(whole) <= _WIDTH else ["from singerkit import (", *(f"    {name}," for name in names), ")"]


def _tuple(name: str, members: list[str]) -> list[str]:
    whole = f"{name} = ({', '.join(members)}{',' if len(members) == 1 else ''})"
    return [whole] if len(whole) <= _WIDTH else [f"{name} = (", *(f"    {member}," for member in members), ")"]
