"""What the demo's API answers with: records in an order, cut into pages in three ways, and errors."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

PAGE_SIZE = 1_000
MAX_PAGE_SIZE = 5_000

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client."""

    body: bytes
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, code: str, message: str, **headers: str) -> None:
        """Keep what the client is told; an underscore in a header's name stands for a hyphen."""
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def reply(self) -> Reply:
        """Give the error as JSON."""
        error = {"status": self.status, "code": self.code, "message": str(self)}
        return Reply(encode({"error": error}), self.status, self.headers)


def bad_request(message: str) -> ApiError:
    """Give the error for a parameter that can't be understood."""
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_parameter", message)


class Query:
    """The parameters of a request, each of which has to be known, given once, and of the right form."""

    def __init__(self, text: str, allowed: Iterable[str]) -> None:
        """Parse the part of the URL after the question mark."""
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
        except ValueError as error:
            raise bad_request("the query string is malformed") from error
        self.values = dict(pairs)
        if len(self.values) != len(pairs):
            raise bad_request("a parameter is given more than once")
        if unknown := sorted(self.values.keys() - set(allowed)):
            raise bad_request(f"unknown parameter {unknown[0]!r}; known here: {', '.join(allowed) or 'none'}")

    def integer(self, name: str, default: int, highest: int) -> int:
        """Give a whole number from 1 to ``highest``."""
        text = self.values.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= highest:
            raise bad_request(f"{name} must be a whole number from 1 to {highest}")
        return int(text)

    def instant(self, name: str) -> str:
        """Give a time in UTC, to the second, as this API writes it; empty when it is not given.

        A fraction is rounded up: "since half past" must not give what happened before.
        """
        text = self.values.get(name)
        if text is None:
            return ""
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is None:
                raise ValueError("no offset")
            instant = instant.astimezone(UTC)
            if instant.microsecond:
                instant = instant.replace(microsecond=0) + timedelta(seconds=1)
        except (ValueError, OverflowError) as error:
            raise bad_request(
                f"{name} must be an ISO 8601 time with an offset, such as 2013-07-01T00:00:00Z"
            ) from error
        return f"{instant:%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")


@dataclass(frozen=True, slots=True)
class Listing:
    """Encoded records in the order in which they are given out, each with the text it is ordered by."""

    keys: Sequence[str]
    records: Sequence[bytes]

    def since(self, key: str) -> int:
        """Give the position of the first record whose key is ``key`` or later."""
        return bisect_left(self.keys, key)

    def after(self, key: str) -> int:
        """Give the position of the first record whose key is later than ``key``."""
        return bisect_right(self.keys, key)


def listing_of(records: Iterable[Mapping[str, Any]], *key: str) -> Listing:
    """Encode records and order them by the properties ``key``, joined."""
    keyed = sorted((("|".join(record[name] for name in key), encode(record)) for record in records), key=itemgetter(0))
    return Listing([each for each, _ in keyed], [record for _, record in keyed])


def page_body(records: Sequence[bytes], meta: Mapping[str, Any]) -> bytes:
    """Join encoded records to an answer's body."""
    return b'{"data":[' + b",".join(records) + b'],"meta":' + encode(meta) + b"}"


def whole(listing: Listing, query: Query) -> Reply:
    """Give all records in one answer."""
    return Reply(page_body(listing.records, {"total": len(listing.records)}))


def numbered_page(listing: Listing, query: Query) -> Reply:
    """Give the page of the number asked for; one past the end is empty."""
    size = query.integer("page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    page = query.integer("page", 1, 999_999)
    total = len(listing.records)
    meta = {"page": page, "page_size": size, "total_pages": -(-total // size), "total": total}
    return Reply(page_body(listing.records[(page - 1) * size : page * size], meta))


def linked_page(listing: Listing, query: Query, url: str) -> Reply:
    """Give a page, with the next one's URL in the Link header (RFC 8288) and nothing of it in the body."""
    size = query.integer("page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    page = query.integer("page", 1, 999_999)
    first = listing.since(query.instant("observed_since"))
    last_page = max(1, -(-(len(listing.records) - first) // size))
    links = {"first": 1, "last": last_page} | ({"next": page + 1} if page < last_page else {})
    start = first + (page - 1) * size
    targets = (f'<{url}?{urlencode(query.values | {"page": str(n)})}>; rel="{rel}"' for rel, n in links.items())
    return Reply(page_body(listing.records[start : start + size], {}), headers={"Link": ", ".join(targets)})


def cursor_page(listing: Listing, query: Query) -> Reply:
    """Give a page and the cursor of the next one, ``null`` on the last page."""
    size = query.integer("page_size", PAGE_SIZE, MAX_PAGE_SIZE)
    since = query.instant("updated_since")
    cursor = query.values.get("cursor")
    start = listing.since(since) if cursor is None else max(listing.since(since), listing.after(_decoded(cursor)))
    end = start + size
    following = _encoded(listing.keys[end - 1]) if end < len(listing.keys) else None
    return Reply(page_body(listing.records[start:end], {"next_cursor": following, "page_size": size}))


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    try:
        key = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise bad_request("cursor must be one that this API gave") from error
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\|\w+-[\dT-]+", key):
        raise bad_request("cursor must be one that this API gave")
    return key
