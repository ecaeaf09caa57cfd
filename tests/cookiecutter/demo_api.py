"""The API that the recordings of scaffolded taps were made from: a shop, with every kind of paging and credentials."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from singerkit_testing.fake_server import Request, Response

Row = dict[str, Any]
Pages = Callable[[Request, list[Row]], Response]

#: Records on a page, however many are asked for.
PAGE = 2
TOKEN = "t0ken-of-the-demo"

CUSTOMERS: list[Row] = [
    {"id": 1, "name": "Ada Lovelace", "email": "ada@example.com", "created_at": "2024-01-05T09:00:00Z"},
    {"id": 2, "name": "Blaise Pascal", "email": "blaise@example.com", "created_at": "2024-01-06T10:30:00Z"},
    {"id": 3, "name": "Grace Hopper", "email": None, "created_at": "2024-02-01T12:00:00Z"},
]
ORDERS: list[Row] = [
    {"id": 11, "customer_id": 1, "status": "paid", "total": 9.5, "updated_at": "2024-03-01T10:00:00Z"},
    {"id": 12, "customer_id": 2, "status": "open", "total": 12.25, "updated_at": "2024-03-02T10:00:00Z"},
    {"id": 13, "customer_id": 1, "status": "paid", "total": 0.75, "updated_at": "2024-03-03T10:00:00Z"},
    {"id": 14, "customer_id": 3, "status": "open", "total": 80.0, "updated_at": "2024-03-04T10:00:00Z"},
    {"id": 15, "customer_id": 3, "status": "paid", "total": 7.0, "updated_at": "2024-03-05T10:00:00Z"},
]

#: What a config needs for each kind of credentials.
CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "bearer": {"token": TOKEN},
    "api-key": {"api_key": TOKEN},
    "basic": {"username": "ada", "password": TOKEN},
    "oauth-client": {"client_id": "the-demo", "client_secret": "c1ient-secret"},
    "oauth-refresh": {"client_id": "the-demo", "client_secret": "c1ient-secret", "refresh_token": "r3fresh-token"},
    "login": {"username": "ada", "password": "passw0rd-of-ada"},
}


def demo_api(auth: str, paging: str) -> Callable[[Request], Response | None]:
    """Give the function that answers as an API with these credentials and this paging."""

    def respond(request: Request) -> Response | None:
        if request.method == "POST" and request.path in _TOKEN_ENDPOINTS:
            return _token_answer(request)
        if not _is_allowed(request, auth):
            return Response({"error": "unauthorized"}, 401)
        if request.path == "/v1/graphql":
            return Response(_graphql_answer(request.json(), paging))
        rows = {"/v1/customers": CUSTOMERS, "/v1/orders": ORDERS}.get(request.path)
        if rows is None:
            return None
        since = request.query.get("updated_since", "")
        return _PAGES[paging](request, [row for row in rows if row.get("updated_at", since) >= since])

    return respond


# Credentials

_TOKEN_ENDPOINTS = ("/v1/oauth/token", "/v1/login")


def _token_answer(request: Request) -> Response:
    if request.path == "/v1/login":
        sent, wanted = request.json(), CREDENTIALS["login"]
        return Response({"token": TOKEN}) if sent == wanted else Response({"error": "refused"}, 401)
    form = dict(parse_qsl(request.body.decode()))
    kind = "oauth-refresh" if form.pop("grant_type") == "refresh_token" else "oauth-client"
    if form != CREDENTIALS[kind]:
        return Response({"error": "invalid_grant"}, 400)
    return Response({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})


def _is_allowed(request: Request, auth: str) -> bool:
    if auth == "none":
        return True
    if auth == "api-key":
        return request.headers.get("x-api-key") == TOKEN
    basic = base64.b64encode(f"ada:{TOKEN}".encode()).decode()
    return request.headers.get("authorization") == (f"Basic {basic}" if auth == "basic" else f"Bearer {TOKEN}")


# Pages


def _whole(request: Request, rows: list[Row]) -> Response:
    return Response({"data": rows})


def _by_number(request: Request, rows: list[Row]) -> Response:
    first = (int(request.query["page"]) - 1) * PAGE
    return Response({"data": rows[first : first + PAGE], "meta": {"pages": -(-len(rows) // PAGE)}})


def _by_offset(request: Request, rows: list[Row]) -> Response:
    first = int(request.query["offset"])
    return Response({"data": rows[first : first + PAGE], "meta": {"total": len(rows)}})


def _by_cursor(request: Request, rows: list[Row]) -> Response:
    first = int(request.query.get("cursor", "c0")[1:])
    is_last = first + PAGE >= len(rows)
    return Response(
        {"data": rows[first : first + PAGE], "meta": {"next_cursor": None if is_last else f"c{first + PAGE}"}}
    )


def _next_url(request: Request, rows: list[Row]) -> tuple[list[Row], str | None]:
    first = int(request.query.get("from", 0))
    following = urlencode({**request.query, "from": first + PAGE})
    return rows[first : first + PAGE], f"{request.path}?{following}" if first + PAGE < len(rows) else None


def _by_header(request: Request, rows: list[Row]) -> Response:
    page, link = _next_url(request, rows)
    return Response({"data": page}, headers={"Link": f'<{link}>; rel="next"'} if link else {})


def _by_url(request: Request, rows: list[Row]) -> Response:
    page, link = _next_url(request, rows)
    return Response({"data": page, "links": {"next": link}})


def _by_key(request: Request, rows: list[Row]) -> Response:
    rows = [row for row in rows if row["id"] > int(request.query.get("after", 0))]
    return Response({"data": rows[:PAGE], "meta": {"more": len(rows) > PAGE}})


_PAGES: Mapping[str, Pages] = {
    "none": _whole,
    "page": _by_number,
    "offset": _by_offset,
    "cursor": _by_cursor,
    "link": _by_header,
    "next-url": _by_url,
    "keyset": _by_key,
}


# GraphQL


def _graphql_answer(asked: Mapping[str, Any], paging: str) -> dict[str, Any]:
    """Answer the two queries that a scaffolded tap sends; any other GraphQL server would do the same."""
    name = re.findall(r"customers|orders", asked["query"])[0]
    variables = asked.get("variables") or {}
    since = variables.get("updatedSince") or ""
    nodes = [
        _camel(row) for row in (CUSTOMERS if name == "customers" else ORDERS) if row.get("updated_at", since) >= since
    ]
    if paging == "none":
        return {"data": {name: nodes}}
    first = int(variables.get("after") or 0)
    end = min(first + PAGE, len(nodes))
    page_info = {"hasNextPage": end < len(nodes), "endCursor": str(end)}
    return {"data": {name: {"nodes": nodes[first:end], "pageInfo": page_info}}}


def _camel(row: Row) -> Row:
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): value for name, value in row.items()}
