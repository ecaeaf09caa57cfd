"""Each way of paging against a server that speaks it, and pages that are asked for at the same time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from engine_runs import TapOutcome, run_tap
from paging_api import BEGINNING, PagingApi, serving

from singerkit import typing as th
from singerkit.errors import FatalAPIError
from singerkit.http.paginate import (
    BaseAPIPaginator,
    BaseOffsetPaginator,
    BasePageNumberPaginator,
    DateWindowPaginator,
    HeaderLinkPaginator,
    JSONPathPaginator,
    KeysetPaginator,
    NextURLPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    RelayPaginator,
    SimpleHeaderPaginator,
    SinglePagePaginator,
)
from singerkit.http.retry import RetryPolicy
from singerkit.streams.rest import RESTStream
from singerkit.taps import Tap


class TapPages(Tap):
    name = "tap-pages"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self):
        return []


class Records(RESTStream):
    name = "records"
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    retry = RetryPolicy(max_tries=1)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("at", th.DateTimeType),
        th.Property("text", th.StringType),
    ).to_dict()


@pytest.fixture
def api():
    with serving(PagingApi()) as served:
        yield served


def stream_of(api: PagingApi, path: str, pages: Any, base: type[RESTStream] = Records, **declared: Any) -> RESTStream:
    kind = type("Stream", (base,), {"url_base": api.url, "path": path, "paginator": pages, **declared})
    return kind(TapPages(config={}, validate_config=False))


def read(api: PagingApi, path: str, pages: Any, **declared: Any) -> list[dict[str, Any]]:
    return list(stream_of(api, path, pages, **declared).request_records(None))


def run(stream: RESTStream, **options: Any) -> TapOutcome:
    return run_tap(stream.spec(), **options)


WAYS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "page number": ("/number", PageNumberPaginator(1, param="page"), {}),
    "page number, pages in the body": ("/number", PageNumberPaginator(1, param="page", total_pages_at="$.pages"), {}),
    "page number, pages in a header": ("/number", PageNumberPaginator(1, param="page", total_pages_at="X-Pages"), {}),
    "page number, total in a header": ("/number", PageNumberPaginator(1, param="page", total_records_at="X-Total"), {}),
    "page number, flag": ("/number", PageNumberPaginator(1, param="page", more_at="$.more"), {}),
    "page number, old name": ("/number", BasePageNumberPaginator(1, param="page"), {}),
    "page number, size": ("/number", PageNumberPaginator(1, param="page", page_size=7, size_param="size"), {}),
    "offset": ("/offset", OffsetPaginator(0, 10, param="offset", size_param="size"), {}),
    "offset, total": (
        "/offset",
        OffsetPaginator(0, 4, param="offset", size_param="size", total_records_at="$.total"),
        {},
    ),
    "offset, flag": ("/offset", OffsetPaginator(0, 4, param="offset", size_param="size", more_at="$.more"), {}),
    "offset, old name": ("/offset", BaseOffsetPaginator(0, 10, param="offset"), {}),
    "cursor in the body": ("/cursor", JSONPathPaginator("$.meta.next", param="cursor"), {}),
    "cursor and flag": ("/cursor", JSONPathPaginator("$.meta.next", param="cursor", more_at="$.more"), {}),
    "cursor in a header": ("/cursor", SimpleHeaderPaginator("X-Next", param="cursor"), {}),
    "Link header": ("/url", HeaderLinkPaginator(page_size=3, size_param="size"), {}),
    "URL in the body": ("/url", NextURLPaginator("$.links.next"), {}),
    "Relay": (
        "/relay",
        RelayPaginator("$.data.orders.pageInfo", page_size=6),
        {"records_jsonpath": "$.data.orders.nodes[*]"},
    ),
    "keyset": ("/after", KeysetPaginator("id", param="after"), {}),
    "keyset, flag": ("/after", KeysetPaginator("$.id", param="after", more_at="$.more"), {}),
    "windows": (
        "/window",
        DateWindowPaginator(
            days=0.25, start=BEGINNING, stop=BEGINNING + timedelta(days=3), param="from", end_param="to"
        ),
        {},
    ),
    "pages in windows": (
        "/window",
        DateWindowPaginator(
            days=1,
            start=BEGINNING - timedelta(days=5),
            stop=BEGINNING + timedelta(days=2, hours=7),
            param="from",
            end_param="to",
            pages=JSONPathPaginator("$.meta.next", param="cursor", page_size=10, size_param="paged"),
        ),
        {},
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_every_way_of_paging_gives_every_record_once_and_in_order(api, way, concurrency):
    path, pages, declared = WAYS[way]
    outcome = run(stream_of(api, path, pages, **declared), max_concurrency=concurrency)
    assert outcome.failure is None
    assert outcome.records("records") == api.expected


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_paging_reads_an_api_without_records(api, way):
    api.records = 0
    path, pages, declared = WAYS[way]
    assert read(api, path, pages, **declared) == []


@pytest.mark.parametrize("records", [9, 10, 11])
def test_no_more_is_asked_for_than_the_total_says(api, records):
    api.records = records
    pages = OffsetPaginator(0, 5, param="offset", size_param="size", total_records_at="$.total")
    assert read(api, "/offset", pages) == api.expected
    assert len(api.asked) == -(-records // 5)


def test_none_is_one_request(api):
    assert len(read(api, "/cursor", SinglePagePaginator())) == 10
    assert len(api.asked) == 1


def test_a_server_that_gives_smaller_pages_than_asked_for(api):
    api.largest_page = 4
    pages = OffsetPaginator(0, 10, param="offset", size_param="size", total_records_at="$.total")
    assert read(api, "/offset", pages) == api.expected
    assert read(api, "/offset", OffsetPaginator(0, 10, param="offset", size_param="size")) == api.expected
    pages = PageNumberPaginator(1, param="page", page_size=10, size_param="size", total_records_at="$.total")
    assert read(api, "/number", pages) == api.expected


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    "total_of",
    [
        lambda start: 25 if start == 0 else 5,
        lambda start: 12 if start == 0 else 25,
        lambda start: {0: 25, 5: 3, 10: 0}.get(start, 25),
        lambda start: min(25, max(6, start + 1)),
    ],
    ids=["shrinks", "grows", "wavers", "one more each time"],
)
def test_totals_that_change_while_reading_lose_nothing(api, total_of, concurrency):
    api.total_of = total_of
    for path, pages in (
        ("/offset", OffsetPaginator(0, 5, param="offset", size_param="size", total_records_at="$.total")),
        ("/number", PageNumberPaginator(1, param="page", page_size=5, size_param="size", total_records_at="$.total")),
    ):
        outcome = run(stream_of(api, path, pages), max_concurrency=concurrency)
        assert outcome.failure is None
        assert outcome.records("records") == api.expected


def test_an_empty_page_before_the_total_is_not_the_end(api):
    api.before = lambda path, query: (200, {"data": [], "total": 25}) if query["offset"] == "10" else None
    pages = OffsetPaginator(0, 5, param="offset", size_param="size", total_records_at="$.total")
    assert [r["id"] for r in read(api, "/offset", pages)] == [*range(1, 11), *range(16, 26)]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_records_that_are_gone_while_reading_end_it_without_an_error(api, concurrency):
    def vanish(path, query):
        return (200, {"data": [], "total": 8}) if int(query["offset"]) >= 10 else None

    api.before = vanish
    pages = OffsetPaginator(0, 5, param="offset", size_param="size", total_records_at="$.total")
    outcome = run(stream_of(api, "/offset", pages), max_concurrency=concurrency)
    assert outcome.failure is None
    assert outcome.ids("records") == list(range(1, 11))


# What a server can do wrong


def empty_for_ever():
    counted = iter(range(10**9))

    def before(path, query):
        number = next(counted)
        return 200, {
            "data": [],
            "meta": {"next": f"n{number}"},
            "more": True,
            "total": 10**6,
            "links": {"next": f"?n={number}"},
        }

    return before


@pytest.mark.parametrize(
    ("path", "pages"),
    [
        ("/cursor", JSONPathPaginator("$.meta.next", param="cursor")),
        ("/cursor", JSONPathPaginator("$.meta.next", param="cursor", more_at="$.more")),
        ("/url", NextURLPaginator("$.links.next")),
        ("/number", PageNumberPaginator(1, param="page", more_at="$.more")),
        ("/offset", OffsetPaginator(0, 10, param="offset", total_records_at="$.total")),
    ],
)
def test_pages_that_stay_empty_are_an_error_after_two_more_requests(api, path, pages):
    api.before = empty_for_ever()
    with pytest.raises(FatalAPIError, match="3 empty pages in a row"):
        read(api, path, pages)
    assert len(api.asked) == 3


class OwnCursor(BaseAPIPaginator[str | None]):
    def get_next(self, response):
        return response.json()["meta"]["next"]


class OwnDays(BaseAPIPaginator[str]):
    def get_next(self, response):
        following = (datetime.fromisoformat(self.current_value) + timedelta(days=1)).date().isoformat()
        return following if following <= "2024-03-01" else None


def test_an_authors_own_cursor_over_empty_pages_is_an_error_after_two_more_requests(api):
    api.before = empty_for_ever()
    with pytest.raises(FatalAPIError, match="3 empty pages in a row"):
        read(api, "/cursor", OwnCursor(None, param="cursor"))
    assert len(api.asked) == 3


def test_the_old_hook_over_empty_pages_is_an_error_after_two_more_requests(api):
    api.before = empty_for_ever()
    hooks = {
        "get_next_page_token": lambda self, response, previous_token: response.json()["meta"]["next"],
        "get_url_params": lambda self, context, next_page_token: {"cursor": next_page_token},
    }
    with pytest.raises(FatalAPIError, match="3 empty pages in a row"):
        read(api, "/cursor", None, **hooks)
    assert len(api.asked) == 3


def test_an_authors_own_days_may_all_be_empty(api):
    api.before = lambda path, query: (200, {"data": [], "day": query["day"]})
    assert read(api, "/days", OwnDays("2024-01-01", param="day")) == []
    assert len(api.asked) == 61


def test_pages_of_a_window_that_stay_empty_are_an_error(api):
    api.before = empty_for_ever()
    inner = JSONPathPaginator("$.meta.next", param="cursor")
    stop = BEGINNING + timedelta(days=90)
    with pytest.raises(FatalAPIError, match="3 empty pages in a row in one window"):
        read(api, "/window", DateWindowPaginator(start=BEGINNING, stop=stop, param="from", end_param="to", pages=inner))
    assert len(api.asked) == 3


@pytest.mark.parametrize(
    ("tokens", "requests"),
    [(["a", "a"], 2), (["a", "b", "a"], 3), (["a", "b", "c", "b"], 4)],
    ids=["same", "pair", "ring"],
)
def test_a_token_that_comes_again_is_an_error_at_once(api, tokens, requests):
    given = iter(tokens)
    api.before = lambda path, query: (200, {"data": [{"id": 1}], "meta": {"next": next(given)}})
    with pytest.raises(FatalAPIError, match="Loop detected"):
        read(api, "/cursor", JSONPathPaginator("$.meta.next", param="cursor"))
    assert len(api.asked) == requests


def test_a_token_that_comes_again_is_noticed_though_requests_differ(api):
    given = iter(["a", "b", "a", "b"])
    api.before = lambda path, query: (200, {"data": [{"id": 1}], "meta": {"next": next(given)}})
    counted = iter(range(100))

    def get_url_params(self, context, next_page_token):
        return {"cursor": next_page_token, "nonce": next(counted)}

    with pytest.raises(FatalAPIError, match="Loop detected"):
        read(api, "/cursor", JSONPathPaginator("$.meta.next"), get_url_params=get_url_params)
    assert len(api.asked) == 3


@pytest.mark.parametrize(
    ("path", "pages", "body", "says"),
    [
        ("/number", PageNumberPaginator(1, param="page", total_pages_at="$.pages"), {}, r"does not say at \$.pages"),
        ("/number", PageNumberPaginator(1, param="page", total_pages_at="X-Pages"), {}, "does not say at X-Pages"),
        ("/number", PageNumberPaginator(1, param="page", total_pages_at="$.pages"), {"pages": "x"}, "is not a count"),
        ("/number", PageNumberPaginator(1, param="page", total_pages_at="$.pages"), {"pages": True}, "is not a count"),
        ("/number", PageNumberPaginator(1, param="page", total_pages_at="$.pages"), {"pages": -1}, "is not a count"),
        ("/number", PageNumberPaginator(1, param="page", more_at="$.more"), {}, r"does not say at \$.more"),
        (
            "/number",
            PageNumberPaginator(1, param="page", more_at="$.more"),
            {"more": "maybe"},
            "neither true nor false",
        ),
        (
            "/cursor",
            JSONPathPaginator("$.next", param="cursor", more_at="$.more"),
            {"more": True},
            "no token for the next",
        ),
        ("/relay", RelayPaginator("$.pageInfo"), {}, "no pageInfo with hasNextPage"),
        ("/relay", RelayPaginator("$.pageInfo"), {"pageInfo": {"hasNextPage": True}}, "gives no endCursor"),
        ("/url", NextURLPaginator("$.next"), {"next": 5}, "is no URL"),
        ("/url", NextURLPaginator("$.next"), {"next": "https://elsewhere.example/x"}, "points to https://elsewhere"),
        ("/after", KeysetPaginator("number", param="after"), {}, "has no 'number'"),
        ("/after", KeysetPaginator("id"), {}, "Loop detected"),
    ],
)
def test_an_answer_that_does_not_say_how_it_goes_on_is_an_error(api, path, pages, body, says):
    api.before = lambda path, query: (200, {"data": [{"id": 1}], **body})
    with pytest.raises(FatalAPIError, match=says):
        read(api, path, pages)
    assert len(api.asked) <= 2


def test_windows_without_a_beginning_say_what_to_set(api):
    outcome = run(stream_of(api, "/window", DateWindowPaginator(param="from", end_param="to")))
    assert "set 'start_date'" in str(outcome.failure)


def test_windows_begin_at_the_bookmark_and_end_now(api):
    stream = stream_of(api, "/window", DateWindowPaginator(days=30, param="from", end_param="to"), replication_key="at")
    state = {"bookmarks": {"records": {"replication_key": "at", "replication_key_value": "2024-01-01T20:00:00+00:00"}}}
    stream._tap.bookmarks.value.update(state)
    stream._tap.bookmarks._entries.update(state["bookmarks"])
    assert [record["id"] for record in stream.request_records(None)] == [21, 22, 23, 24, 25]
    assert "from=2024-01-01T20%3A00%3A00Z" in api.asked[0]
    assert len(api.asked) == -(-(datetime.now(tz=UTC) - BEGINNING).days // 30)


# At the same time


def wide(**options: Any) -> OffsetPaginator:
    return OffsetPaginator(0, 10, param="offset", size_param="size", total_records_at="$.total", **options)


@pytest.mark.parametrize("concurrency", [2, 3, 8])
def test_pages_are_asked_for_at_the_same_time_within_the_bound_and_written_in_order(api, concurrency):
    api.records, api.latency_s = 400, 0.01
    outcome = run(stream_of(api, "/offset", wide()), max_concurrency=concurrency)
    assert outcome.failure is None
    assert outcome.records("records") == api.expected
    assert sorted(api.asked) == sorted(f"/offset?offset={start}&size=10" for start in range(0, 400, 10))
    assert 2 <= api.most_in_flight <= concurrency


def test_other_workers_take_pages_so_that_no_thread_waits_alone(api):
    api.records = 90
    together = threading.Barrier(4)

    def meet(path, query):
        if query["offset"] in {"10", "20", "30", "40"}:
            together.wait(10)  # breaks, and fails the run, if fewer than four are in flight

    api.before = meet
    outcome = run(stream_of(api, "/offset", wide()), max_concurrency=4)
    assert outcome.failure is None
    assert outcome.records("records") == api.expected


@pytest.mark.parametrize(
    "declared",
    [
        {"paginator": wide(concurrent=False)},
        {"parse_response": lambda self, response: iter(response.json()["data"])},
        {"get_records": lambda self, context: RESTStream.get_records(self, context)},
        {"request_records": lambda self, context: RESTStream.request_records(self, context)},
    ],
    ids=["asked for", "parse_response", "get_records", "request_records"],
)
def test_pages_come_one_by_one_where_a_hook_may_need_the_page_before(api, declared):
    declared = dict(declared)
    api.records, api.latency_s = 60, 0.01
    pages = declared.pop("paginator", None) or wide()
    outcome = run(stream_of(api, "/offset", pages, **declared), max_concurrency=8)
    assert outcome.failure is None
    assert outcome.records("records") == api.expected
    assert api.most_in_flight == 1


@pytest.mark.parametrize("hook", ["get_next", "has_more", "advance", "continue_if_empty"])
def test_a_paginator_with_a_hook_of_its_own_is_asked_after_each_page(api, hook):
    api.records, api.latency_s = 60, 0.01
    calls: list[str] = []

    def overriding(self, response):
        calls.append(hook)
        return getattr(OffsetPaginator, hook)(self, response)

    kind = type("Own", (OffsetPaginator,), {hook: overriding})
    pages = kind(0, 10, param="offset", size_param="size", total_records_at="$.total")
    outcome = run(stream_of(api, "/offset", pages), max_concurrency=8)
    assert outcome.records("records") == api.expected
    assert api.most_in_flight == 1
    assert calls or hook == "continue_if_empty"


@pytest.mark.parametrize("failing", [0, 10, 150, 390])
def test_a_page_that_fails_ends_the_stream_after_the_pages_before_it(api, failing):
    api.records, api.latency_s = 400, 0.002
    api.before = lambda path, query: (404, {}) if query["offset"] == str(failing) else None
    outcome = run(stream_of(api, "/offset", wide()), max_concurrency=6)
    assert isinstance(outcome.failure, FatalAPIError)
    assert outcome.ids("records") == list(range(1, failing + 1))


def test_a_tolerated_page_in_the_middle_ends_it_there(api):
    api.records = 100
    api.before = lambda path, query: (404, {}) if query["offset"] == "50" else None
    outcome = run(stream_of(api, "/offset", wide(), tolerated_http_errors=(404,)), max_concurrency=6)
    assert outcome.failure is None
    assert outcome.ids("records") == list(range(1, 51))


def test_bookmarks_and_sortedness_hold_for_pages_read_ahead(api):
    api.records, api.latency_s = 300, 0.002
    stream = stream_of(api, "/offset", wide(), replication_key="at", is_sorted=True, check_sorted=True)
    outcome = run(stream, max_concurrency=6, state_frequency=20)
    assert outcome.failure is None
    seen = 0
    for line in outcome.lines:
        if line["type"] == "RECORD":
            seen = line["record"]["at"]
        elif line["type"] == "STATE" and line["value"]["bookmarks"].get("records"):
            assert line["value"]["bookmarks"]["records"]["replication_key_value"] <= seen
    assert outcome.state["bookmarks"]["records"]["replication_key_value"] == api.expected[-1]["at"]


def test_what_is_read_ahead_is_bounded(api):
    api.records = 1000
    release = threading.Event()
    held: list[str] = []
    while_held: list[int] = []

    def let_go():
        while_held.append(len(held))
        release.set()

    def hold(path, query):
        if query["offset"] != "10":
            held.append(query["offset"])
            return
        threading.Timer(0.3, let_go).start()  # time enough for all other workers to run ahead, if they could
        release.wait(10)

    api.before = hold
    outcome = run(stream_of(api, "/offset", wide()), max_concurrency=4)
    assert outcome.records("records") == api.expected
    assert 4 <= while_held[0] <= 2 * 4


def test_several_streams_share_the_bound(api):
    api.records, api.latency_s = 150, 0.005
    streams = [stream_of(api, "/offset", wide(), name=f"records-{n}") for n in range(4)]
    outcome = run_tap(*(stream.spec() for stream in streams), max_concurrency=5)
    assert outcome.failure is None
    assert all(outcome.records(stream.name) == api.expected for stream in streams)
    assert api.most_in_flight <= 5


def test_partitions_with_several_pages_keep_their_order_and_the_bound(api):
    api.records, api.latency_s = 50, 0.005
    partitions = [{"partition": str(number)} for number in range(40)]
    stream = stream_of(
        api,
        "/number/{partition}",
        PageNumberPaginator(1, param="page", total_pages_at="$.pages"),
        partitions=partitions,
        schema={"properties": {**Records.schema["properties"], "partition": {"type": "string"}}},
    )
    outcomes = [run(stream, max_concurrency=bound) for bound in (1, 16)]
    assert [outcome.failure for outcome in outcomes] == [None, None]
    assert api.most_in_flight <= 16
    assert len(api.asked) == 2 * 40 * 5
    for outcome in outcomes:
        for partition in partitions:
            mine = [r["id"] for r in outcome.records("records") if r["partition"] == partition["partition"]]
            assert mine == list(range(1, 51))


def test_a_trial_run_asks_for_no_more_than_it_needs(api):
    api.records = 500
    outcome = run(stream_of(api, "/offset", wide()), max_concurrency=8, record_limit=1)
    assert outcome.failure is None
    assert len(api.asked) == 1
