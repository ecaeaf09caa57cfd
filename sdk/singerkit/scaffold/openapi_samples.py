"""Answers that an OpenAPI document describes, made up: what a new tap's recording is made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from singerkit.scaffold.openapi_streams import StreamPlan

#: Records in each stream, told apart by their day.
COUNT = 3
_DAYS = [f"2024-03-{number:02}" for number in range(1, COUNT + 1)]
#: Where the runs begin that are recorded: nowhere, before all, at each record, and after all.
STARTS = [None, "2024-01-01T00:00:00Z", *(f"{day}T10:00:00Z" for day in _DAYS), "2999-12-31T00:00:00Z"]


class Sampled(NamedTuple):
    """A stream, and the schema of its records."""

    plan: StreamPlan
    schema: Mapping[str, Any]


def sample_api(streams: list[Sampled], api_url: str) -> Callable[[Any], Any]:
    """Give the function that answers requests with ``method``, ``path`` and ``query``; ``None`` is 404."""
    base = urlsplit(api_url).path.rstrip("/")
    patterns = [
        (re.compile(base + re.sub(r"\\\{.+?\\\}", "[^/]+", re.escape(each.plan.operation.path))), each)
        for each in streams
    ]

    def respond(request: Any) -> Any:
        if request.method == "POST":
            return {"access_token": "token-of-the-demo", "token_type": "Bearer", "expires_in": 3600}
        found = next((each for pattern, each in patterns if pattern.fullmatch(request.path)), None)
        return None if found is None else _answer(found, request.query)

    return respond


def _answer(stream: Sampled, query: Mapping[str, str]) -> Any:
    records = [_value(stream.schema, number, "record") for number in range(1, COUNT + 1)]
    found = [record for record in records if _is_new(stream.plan, record, query)]
    shown = [] if _is_beyond(stream.plan, query) else found
    return _envelope(stream.plan, shown, len(found))


def _is_new(plan: StreamPlan, record: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    start = query.get((re.findall(r'param="(.+?)"', plan.incremental) or [""])[0])
    if start is None or plan.replication_key is None:
        return True
    value = str(record[plan.replication_key])
    if start.isdecimal():
        from datetime import datetime

        return datetime.fromisoformat(value).timestamp() >= int(start)
    return value >= start


def _is_beyond(plan: StreamPlan, query: Mapping[str, str]) -> bool:
    """Tell whether a page after the first is asked for, by number or offset."""
    kind, arguments = plan.paginator or ("", "")
    if kind not in ("PageNumberPaginator", "OffsetPaginator"):
        return kind == "KeysetPaginator" and _parameter(arguments) in query
    return query.get(_parameter(arguments), arguments.partition(",")[0]) != arguments.partition(",")[0]


def _parameter(arguments: str) -> str:
    found = re.search(r'\bparam="(.+?)"', arguments)
    return found[1] if found else ""


def _envelope(plan: StreamPlan, records: list[Any], total: int) -> Any:
    """Put records where the document has them, and say that there is no other page."""
    arguments = (plan.paginator or ("", ""))[1]
    told: dict[str, Any] = dict.fromkeys(re.findall(r'^"(\$.+?)"', arguments))
    for name, value in (("total_pages_at", 1 if total else 0), ("total_records_at", total), ("more_at", False)):
        told |= dict.fromkeys(re.findall(rf'{name}="(\$.+?)"', arguments), value)
    if plan.records_jsonpath == "$[*]":
        return _response(plan, records, total)
    body: dict[str, Any] = {}
    for path, value in {**told, plan.records_jsonpath.removesuffix("[*]"): records}.items():
        *folders, name = path.removeprefix("$.").split(".")
        place = body
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return _response(plan, body, total)


def _response(plan: StreamPlan, body: Any, total: int) -> Any:
    from importlib import import_module  # the harness is not to be imported by name where it need not be there

    arguments = (plan.paginator or ("", ""))[1]
    headers = {name: str(total) for name in re.findall(r'total_records_at="([^$].*?)"', arguments)}
    headers |= dict.fromkeys(re.findall(r'total_pages_at="([^$].*?)"', arguments), "1")
    return import_module("singerkit_testing.fake_server").Response(body, headers=headers)


_TEXTS: Mapping[str, Callable[[int], str]] = {
    "date-time": lambda number: f"{_DAYS[number - 1]}T10:00:00Z",
    "date": lambda number: _DAYS[number - 1],
    "time": lambda number: f"10:00:0{number}Z",
    "uuid": lambda number: f"00000000-0000-4000-8000-00000000000{number}",
    "email": lambda number: f"person{number}@example.com",
    "uri": lambda number: f"https://example.com/{number}",
    "ipv4": lambda number: f"192.0.2.{number}",
    "hostname": lambda number: f"host{number}.example.com",
}


def _value(schema: Mapping[str, Any], number: int, name: str) -> Any:
    """Make a value up."""
    given = schema.get("type", ())
    types = [given] if isinstance(given, str) else [kind for kind in given if kind != "null"]
    kind = types[0] if types else "string"
    if kind == "object":
        return {key: _value(member, number, key) for key, member in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [_value(schema.get("items") or {}, number, name)]
    if kind == "string":
        made = _TEXTS.get(str(schema.get("format")))
        text = made(number) if made else f"{name} {number}"
        examples = schema.get("examples")
        return str(examples[number % len(examples)]) if examples else text[: schema.get("maxLength")]
    if kind == "boolean":
        return number % 2 == 1
    low = schema.get("minimum", 0)
    return max(number, int(low)) + (number if low else 0) if kind == "integer" else float(max(number, low))
