"""Paginators by themselves: places, windows, and what authors' subclasses have always relied on."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.paginate import (
    BaseAPIPaginator,
    DateWindowPaginator,
    JSONPathPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    Window,
)
from singerkit.http.paginate.places import ABSENT, compile_count, compile_flag, compile_place

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def answer(body: Any = None, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = json.dumps(body).encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


# Places


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("$.a.b", 5),
        ("$.a.none", None),
        ("$.a.c", ABSENT),
        ("$.list[0]", 1),
        ("$.list[?@ > 1]", 2),
        ("$.list[?@ > 9]", ABSENT),
        ("X-Here", "h"),
        ("x-here", "h"),
        ("X-Gone", ABSENT),
    ],
)
def test_a_place_is_a_path_or_a_header(place, found):
    body = {"a": {"b": 5, "none": None}, "list": [1, 2]}
    assert (
        compile_place(place)(answer(body, X_Here="h")) is found
        or compile_place(place)(answer(body, X_Here="h")) == found
    )


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), (None, False), (1, True), (0, False), ("TRUE", True), (" no ", False), ("", False)],
)
def test_flags(value, flag):
    assert compile_flag("$.more")(answer({"more": value})) is flag


@pytest.mark.parametrize("value", ["perhaps", "2", [], {}, [1]])
def test_what_is_no_flag(value):
    with pytest.raises(FatalAPIError, match=r"at \$.more is neither true nor false"):
        compile_flag("$.more")(answer({"more": value}))


@pytest.mark.parametrize(("value", "count"), [(7, 7), ("7", 7), (7.0, 7), (0, 0), (None, ABSENT), (10**30, 10**30)])
def test_counts(value, count):
    assert compile_count("$.total")(answer({"total": value})) == count


@pytest.mark.parametrize("value", ["many", "1.5", 1.5, -1, True, [], {}, ""])
def test_what_is_no_count(value):
    with pytest.raises(FatalAPIError, match=r"at \$.total is not a count") as caught:
        compile_count("$.total")(answer({"total": value}))
    assert "many" not in str(caught.value)


# Windows


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)), st.floats(0.5, 200))
def test_windows_leave_no_gap_and_do_not_overlap(start, length, days):
    paginator = DateWindowPaginator(days=days, start=start, stop=start + length)
    seen: list[Window] = []
    while not paginator.finished:
        seen.append(paginator.current_value)
        paginator.advance(answer())
    edges = [start, *(window.end for window in seen)]
    assert [window.start for window in seen] == edges[:-1]
    assert edges[-1] == start + length
    assert all(window.start < window.end <= window.start + timedelta(days=days) for window in seen)


@given(MOMENTS, st.timedeltas(timedelta(days=1), timedelta(days=60)))
def test_windows_known_beforehand_are_those_that_come_one_by_one(start, length):
    paginator = DateWindowPaginator(days=3, start=start, stop=start + length)
    beforehand = list(paginator.tokens_ahead())
    for window in beforehand:
        assert paginator.current_value == window
        paginator.advance(answer())
    assert paginator.finished


def test_windows_as_parameters():
    plain = DateWindowPaginator(
        days=2, start=datetime(2024, 1, 1), stop=datetime(2024, 1, 4, tzinfo=UTC), param="since", end_param="until"
    )
    assert plain.url_params(plain.current_value) == {"since": "2024-01-01T00:00:00Z", "until": "2024-01-03T00:00:00Z"}
    days = DateWindowPaginator(
        start=datetime(2024, 1, 1, tzinfo=UTC),
        stop=datetime(2024, 1, 4, tzinfo=UTC),
        days=2,
        param="since",
        end_param="until",
        end_inclusive=timedelta(days=1),
        text="%Y-%m-%d",
        pages=PageNumberPaginator(1, param="page", page_size=5, size_param="size"),
    )
    expected = {"since": "2024-01-01", "until": "2024-01-02", "page": 1, "size": 5}
    assert days.url_params(days.current_value) == expected
    seconds = DateWindowPaginator(start=datetime(2024, 1, 1), param="t", text=lambda moment: str(moment.timestamp()))
    assert seconds.url_params(seconds.current_value) == {"t": "1704067200.0"}


def test_windows_have_to_move_on():
    with pytest.raises(ConfigurationError, match="more than 0"):
        DateWindowPaginator(days=0)


# What authors' subclasses rely on


def test_a_paginator_that_counts_days_does_not_end_at_an_empty_one():
    class Days(BaseAPIPaginator[date]):
        def __init__(self, start_value: date, *, lookahead_days: int, **kwargs: Any) -> None:
            super().__init__(start_value=start_value, **kwargs)
            self.end = start_value + timedelta(days=lookahead_days)

        def has_more(self, response):
            return self.current_value < self.end

        def get_next(self, response):
            return self.current_value + timedelta(days=1)

    paginator = Days(date(2024, 1, 1), lookahead_days=2)
    days = 0
    while not paginator.finished:
        assert paginator.continue_if_empty(answer())
        paginator.advance(answer())
        days += 1
    assert days == 3


def test_the_known_attributes_are_there():
    paginator = OffsetPaginator(start_value=10, page_size=5)
    assert (paginator._value, paginator._page_count, paginator._finished, paginator._page_size) == (10, 0, False, 5)
    assert JSONPathPaginator(jsonpath="$.next")._jsonpath == "$.next"


def test_a_subclass_that_makes_up_its_own_total():
    class Limited(OffsetPaginator):
        def __init__(self, *args: Any, jsonpath: str, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.jsonpath = jsonpath

        def has_more(self, response):
            return response.json()[self.jsonpath] > self._value + self._page_size

    paginator = Limited(0, 10, jsonpath="total")
    for offset in (0, 10, 20):
        assert paginator.current_value == offset
        assert paginator.tokens_ahead() is None
        paginator.advance(answer({"total": 25}))
    assert paginator.finished


def test_a_subclass_that_never_calls_the_base_still_has_its_declarations():
    class Bare(BaseAPIPaginator[int]):
        def __init__(self) -> None:
            self._value, self._page_count, self._finished = 1, 0, False

        def get_next(self, response):
            return None

    paginator = Bare()
    assert paginator.url_params(1) == {}
    assert not paginator.continue_if_empty(answer())
    paginator.advance(answer())
    assert paginator.finished


@given(
    st.integers(0, 60),
    st.integers(1, 12),
    st.sampled_from([0, 1]),
    st.sampled_from(["records", "pages", "records and pages"]),
)
def test_pages_known_beforehand_are_those_that_come_one_by_one(total, size, first, told):
    pages = -(-total // size)
    body = {"records": total if "records" in told else None, "pages": pages if "pages" in told else None}
    places = {"total_records_at": "$.records"} if "records" in told else {}
    places |= {"total_pages_at": "$.pages"} if "pages" in told else {}
    paginator = PageNumberPaginator(first, page_size=size, **places)
    left = total
    known: list[int] | None = None
    seen = []
    while not paginator.finished:
        seen.append(paginator.current_value)
        paginator.observe(min(left, size), None)
        left -= min(left, size)
        if not left and not seen[1:] and not total:
            break
        paginator.advance(answer(body))
        known = list(paginator.tokens_ahead()) if known is None else known
    assert len(seen) == max(pages, 1)
    assert left == 0
    if pages > 1:
        assert known == seen[1:]
