"""What is new, asked for in every way that APIs have, from a server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from engine_runs import Stop, TapOutcome, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from singerkit import Incremental, PageNumberPaginator, RESTStream, Tap, clock
from singerkit import typing as th
from singerkit.errors import ConfigurationError, DataError, InvalidStreamSortException
from singerkit.http.retry import RetryPolicy
from singerkit.protocol.writer import MessageWriter
from singerkit.state.bounds import Bounds

BASE = datetime(2024, 1, 1, tzinfo=UTC)
NOW = BASE + timedelta(days=20)
PAGE = 3


def at(hours: float) -> str:
    return (BASE + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def day(number: int) -> str:
    return (BASE + timedelta(days=number)).date().isoformat()


def rows(*hours: float, **members: Any) -> list[dict[str, Any]]:
    return [{"id": number, "at": at(hour), **members} for number, hour in enumerate(hours)]


def moment(text: str) -> datetime:
    """Read an instant; without a time zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass
class Source:
    """An API that pages through its records; how it filters and sorts, and at which request it fails."""

    records: list[dict[str, Any]]
    order: str = "as they are"
    ignores: tuple[str, ...] = ()
    end_inclusive: bool = False
    fails_at: int | None = None
    read: Callable[[str], Any] = moment
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Give a page."""
        params = dict(request.args)
        self.asked.append(params)
        if len(self.asked) == self.fails_at:
            return Response("broken", status=400)
        chosen = [record for record in self._sorted() if self._wants(record, params)]
        first = (int(params.get("page", 1)) - 1) * PAGE
        return Response(json.dumps({"data": chosen[first : first + PAGE]}), content_type="application/json")

    def _sorted(self) -> list[dict[str, Any]]:
        if self.order == "as they are":
            return self.records
        return sorted(self.records, key=lambda record: record["at"], reverse=self.order == "newest first")

    def _wants(self, record: dict[str, Any], params: dict[str, str]) -> bool:
        value = self.read(record["at"]) if record.get("at") is not None else None
        since, until = (
            self.read(params[name]) if name in params and name not in self.ignores else None
            for name in ("since", "until")
        )
        if value is None:
            return True
        if since is not None and value < since:
            return False
        return until is None or value < until or (self.end_inclusive and value == until)

    def bounds(self) -> list[tuple[str | None, str | None]]:
        """What was asked for, page by page."""
        return [(params.get("since"), params.get("until")) for params in self.asked]


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


class Things(RESTStream):
    name, path, primary_keys, replication_key = "things", "/things", ("id",), "at"
    records_jsonpath = "$.data[*]"
    paginator = PageNumberPaginator(1, param="page")
    retry = RetryPolicy(max_tries=1)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType), th.Property("at", th.DateTimeType), th.Property("text", th.StringType)
    ).to_dict()
    STATE_MSG_FREQUENCY = 1


class TapThings(Tap):
    name = "tap-things"
    kind_of_stream: type[RESTStream]
    config_jsonschema = th.PropertiesList(
        th.Property("start_date", th.DateTimeType),
        th.Property("end_date", th.DateTimeType),
        th.Property("lookback_window", th.StringType),
        th.Property("url", th.StringType),
    ).to_dict()

    def discover_streams(self):
        return [self.kind_of_stream(self)]


@contextmanager
def clock_stands(now: datetime) -> Iterator[None]:
    real, clock.utc_now = clock.utc_now, lambda: now
    try:
        yield
    finally:
        clock.utc_now = real


def run(server: HTTPServer, source: Source, *, state: Any = None, config: Any = None, **declared: Any) -> TapOutcome:
    """Run a stream that is declared so against a source."""
    server.clear()
    server.expect_request("/things").respond_with_handler(source.answer)
    base = declared.pop("base", Things)
    kind = type("Declared", (base,), {"url_base": f"http://127.0.0.1:{server.port}", **declared})
    tap_class = type("TapDeclared", (TapThings,), {"kind_of_stream": kind})
    settings_given = {"start_date": BASE.isoformat(), **(config or {})}
    tap = tap_class(config=settings_given, state=state, validate_config=False)
    output = bytearray()
    with clock_stands(NOW):
        failure = within(30, lambda: tap._sync(MessageWriter(output.extend), Stop()))
    return TapOutcome(bytes(output), failure, tap.bookmarks)


def bookmark(outcome: TapOutcome) -> str | None:
    value = outcome.state["bookmarks"].get("things", {}).get("replication_key_value")
    return value.replace("+00:00", "Z") if isinstance(value, str) else value


def stands_at(value: str) -> dict[str, Any]:
    return {"bookmarks": {"things": {"replication_key": "at", "replication_key_value": value}}}


# Parameters


@pytest.mark.parametrize(
    ("bound_format", "since"),
    [
        (None, "2024-01-02T03:00:00Z"),
        ("rfc3339", "2024-01-02T03:00:00Z"),
        ("date", "2024-01-02"),
        ("epoch", "1704164400"),
        ("epoch_ms", "1704164400000"),
        ("%d.%m.%Y", "02.01.2024"),
        (lambda start: f"after {start:%H} o'clock", "after 03 o'clock"),
    ],
)
def test_the_bookmark_is_a_parameter_in_the_format_of_the_api(server, bound_format, since) -> None:
    source = Source(rows(27), ignores=("since",))
    outcome = run(server, source, state=stands_at(at(27)), incremental=Incremental(param="since", format=bound_format))
    assert outcome.failure is None
    assert source.asked == [{"since": since, "page": "1"}, {"since": since, "page": "2"}]


def test_without_a_bookmark_it_begins_at_start_date_and_then_where_the_author_says(server) -> None:
    declared = {"incremental": Incremental(param="since", start=at(-48))}
    source = Source(rows(5))
    run(server, source, **declared)
    assert source.bounds()[0] == (at(0), None)
    source = Source(rows(5))
    run(server, source, config={"start_date": None}, **declared)
    assert source.bounds()[0] == (at(-48), None)


def test_a_start_date_after_the_bookmark_wins(server) -> None:
    source = Source(rows(5))
    run(server, source, state=stands_at(at(-20)), incremental=Incremental(param="since"))
    assert source.bounds()[0] == (at(0), None)


def test_an_author_s_get_url_params_wins(server) -> None:
    def get_url_params(self, context, next_page_token):
        return {"page": next_page_token, "changed": self.get_starting_replication_key_value(context)}

    source = Source(rows(5))
    run(server, source, incremental=Incremental(param="since"), get_url_params=get_url_params)
    assert source.asked[0] == {"page": "1", "changed": "2024-01-01T00:00:00+00:00"}


def test_an_author_may_add_to_the_declared_parameters(server) -> None:
    def get_url_params(self, context, next_page_token):
        return {**RESTStream.get_url_params(self, context, next_page_token), "more": "1"}

    source = Source(rows(5))
    run(server, source, incremental=Incremental(param="since"), get_url_params=get_url_params)
    assert source.asked[0] == {"page": "1", "since": at(0), "more": "1"}


@pytest.mark.parametrize("hook", ["get_starting_replication_key_value", "compare_start_date"])
def test_an_author_s_own_start_is_asked_for(server, hook) -> None:
    source = Source(rows(5, 50))
    hooks = {
        "get_starting_replication_key_value": lambda self, context: at(30),
        "compare_start_date": lambda self, value, start_date_value: at(30),
    }
    state = stands_at(at(2))
    run(server, source, state=state, incremental=Incremental(param="since"), **{hook: hooks[hook]})
    assert source.bounds()[0] == (at(30), None)


def test_the_start_stays_the_same_while_the_bookmark_moves(server) -> None:
    """Else the second page would be counted from another place than the first."""
    source = Source(rows(*range(10)), order="oldest first")
    outcome = run(server, source, is_sorted=True, incremental=Incremental(param="since"))
    assert outcome.ids("things") == list(range(10))
    assert {since for since, _ in source.bounds()} == {at(0)}

    def get_url_params(self, context, next_page_token):
        return {"page": next_page_token, "since": self.get_starting_replication_key_value(context)}

    source = Source(rows(*range(10)), order="oldest first")
    outcome = run(server, source, is_sorted=True, get_url_params=get_url_params)
    assert outcome.ids("things") == list(range(10))


def test_a_day_is_a_timestamp_too(server) -> None:
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("at", th.DateType)).to_dict()
    seen = []

    def get_url_params(self, context, next_page_token):
        seen.append(self.get_starting_timestamp(context))
        return {"page": next_page_token}

    run(server, Source([]), state=stands_at(day(3)), schema=schema, get_url_params=get_url_params)
    assert seen == [BASE + timedelta(days=3)]


def test_an_api_that_takes_a_day_at_a_time(server) -> None:
    source = Source(rows(1, 25, 30, 50), ignores=("since",))
    real = source._wants
    source._wants = lambda record, params: real(record, {}) and record["at"].startswith(params["since"])  # type: ignore[method-assign]
    declared = Incremental(param="since", format="date", window="1 day")
    outcome = run(server, source, config={"end_date": at(72)}, incremental=declared)
    assert outcome.ids("things") == [0, 1, 2, 3]
    assert set(source.bounds()) == {(day(number), None) for number in range(3)}


def test_numbers_are_asked_for_as_they_are(server) -> None:
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("at", th.IntegerType)).to_dict()
    source = Source([{"id": n, "at": n} for n in range(8)], read=int)
    declared = {"incremental": Incremental(param="since", lookback=2), "schema": schema}
    outcome = run(server, source, state=stands_at(5), **declared)
    assert (outcome.ids("things"), bookmark(outcome)) == ([3, 4, 5, 6, 7], 7)


# Looking back, and where to stop


@pytest.mark.parametrize(
    ("declared", "setting", "since"),
    [
        ("2h", None, at(8)),
        (timedelta(hours=2), None, at(8)),
        ("2h", "9 hours", at(1)),
        (None, "1h", at(9)),
        ("1 week", None, at(0)),
    ],
)
def test_late_records_are_looked_for_before_the_bookmark(server, declared, setting, since) -> None:
    source = Source(rows(1, 8, 9, 10))
    config = {} if setting is None else {"lookback_window": setting}
    incremental = Incremental(param="since", lookback=declared)
    outcome = run(server, source, state=stands_at(at(10)), config=config, incremental=incremental)
    assert source.bounds()[0] == (since, None)
    assert bookmark(outcome) == at(10)


def test_an_end_date_is_where_it_stops_though_the_api_does_not(server) -> None:
    source = Source(rows(1, 47, 48, 49))
    declared = Incremental(param="since", end_param="until")
    outcome = run(server, replace(source, ignores=("until",)), config={"end_date": at(48)}, incremental=declared)
    assert (outcome.ids("things"), bookmark(outcome)) == ([0, 1], at(47))
    rest = run(server, source, state=outcome.state, incremental=declared)
    assert rest.ids("things") == [1, 2, 3]


def test_an_end_date_before_the_bookmark_leaves_nothing_to_ask(server) -> None:
    source = Source(rows(1))
    outcome = run(
        server,
        source,
        state=stands_at(at(90)),
        config={"end_date": at(48)},
        incremental=Incremental(param="since"),
    )
    assert outcome.failure is None
    assert source.asked == []
    assert bookmark(outcome) == at(90)


def test_an_end_parameter_is_the_same_on_every_page(server) -> None:
    source = Source(rows(*range(7)))
    run(server, source, incremental=Incremental(param="since", end_param="until"))
    assert set(source.bounds()) == {(at(0), "2024-01-21T00:00:01Z")}


@pytest.mark.parametrize(("setting", "value"), [("end_date", "soon"), ("lookback_window", "5")])
def test_a_setting_that_is_none_is_a_clear_error(server, setting, value) -> None:
    source = Source(rows(1))
    outcome = run(server, source, state=stands_at(at(1)), config={setting: value}, incremental=Incremental())
    assert isinstance(outcome.failure, ConfigurationError)
    assert f"the setting '{setting}'" in str(outcome.failure)
    assert source.asked == []


# Windows


def test_windows_are_asked_for_one_after_the_other(server) -> None:
    source = Source(rows(1, 30, 200, 400))
    declared = Incremental(param="since", end_param="until", format="date", window="1 week")
    outcome = run(server, source, incremental=declared, paginator=None)
    assert outcome.ids("things") == [0, 1, 2, 3]
    assert source.bounds() == [(day(0), day(7)), (day(7), day(14)), (day(14), day(21))]


def test_windows_end_where_the_format_can_say_it(server) -> None:
    """Else what is between the edge and its rounded form would be in two windows."""
    source = Source(rows(48, 60))
    declared = Incremental(param="since", end_param="until", format="date", window="2 days 5 hours")
    outcome = run(server, source, incremental=declared)
    assert outcome.ids("things") == [0, 1]
    assert list(dict.fromkeys(source.bounds()))[:3] == [(day(0), day(2)), (day(2), day(4)), (day(4), day(6))]


def test_a_source_that_includes_the_last_day_is_asked_for_the_day_before(server) -> None:
    source = Source([])
    declared = Incremental(param="since", end_param="until", format="date", window="1 week", end_inclusive=True)
    run(server, source, incremental=declared, paginator=None)
    assert source.bounds() == [(day(0), day(6)), (day(7), day(13)), (day(14), day(20))]


def test_days_are_windowed_too(server) -> None:
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("at", th.DateType)).to_dict()
    source = Source([{"id": n, "at": day(n)} for n in range(20)], read=date.fromisoformat)
    declared = Incremental(param="since", end_param="until", window="1 month")
    config = {"start_date": "2023-11-15T00:00:00Z"}
    outcome = run(server, source, config=config, schema=schema, incremental=declared)
    assert outcome.ids("things") == list(range(20))
    edges = ["2023-11-15", "2023-12-15", "2024-01-15", "2024-01-22"]
    assert list(dict.fromkeys(source.bounds())) == list(pairwise(edges))
    assert bookmark(outcome) == day(19)


def test_hooks_are_told_their_window(server) -> None:
    seen: list[Bounds] = []

    def get_url_params(self, context, next_page_token):
        seen.append(self.get_replication_bounds(context))
        start = self.get_starting_timestamp(context)
        return {"page": next_page_token, "since": start.isoformat(), "until": seen[-1].end.isoformat()}

    source = Source(rows(1, 200))
    outcome = run(server, source, incremental=Incremental(window="10 days"), get_url_params=get_url_params)
    assert outcome.ids("things") == [0, 1]
    assert {bounds.start for bounds in seen} == {BASE, BASE + timedelta(days=10), BASE + timedelta(days=20)}


def test_a_failed_window_stops_the_bookmark_before_it(server) -> None:
    source = Source(rows(30, 5, 200, 180, 400), fails_at=5)
    declared = Incremental(param="since", end_param="until", window="1 week")
    outcome = run(server, source, incremental=declared)
    assert outcome.failure is not None
    assert outcome.ids("things") == [0, 1, 2, 3]
    assert bookmark(outcome) == at(200)


def test_a_finished_window_of_an_unsorted_stream_is_where_the_next_run_begins(server) -> None:
    """Records come newest first within their window; the third of three windows fails on its second page."""
    source = Source(rows(*range(0, 480, 24)), order="newest first", fails_at=11)
    declared = {"incremental": Incremental(param="since", end_param="until", window="1 week")}
    outcome = run(server, source, **declared)
    assert outcome.failure is not None
    assert bookmark(outcome) == at(13 * 24)
    rest = Source(source.records, order="newest first")
    resumed = run(server, rest, state=outcome.state, **declared)
    assert rest.bounds()[0][0] == at(13 * 24)
    assert set(outcome.ids("things")) | set(resumed.ids("things")) == set(range(20))


def test_what_both_windows_have_at_their_edge_is_written_once(server) -> None:
    source = Source(rows(0, 24, 24, 48, 60), end_inclusive=True)
    declared = Incremental(param="since", end_param="until", window="1 day")
    outcome = run(server, source, incremental=declared)
    assert sorted(outcome.ids("things")) == [0, 1, 2, 3, 4]


def test_what_changed_between_two_windows_is_written_again(server) -> None:
    source = Source(rows(24, text="old"), end_inclusive=True)

    def answer(request: Request) -> Response:
        response = Source.answer(source, request)
        source.records = rows(24, text="new")
        return response

    source.answer = answer  # type: ignore[method-assign]
    declared = Incremental(param="since", end_param="until", window="1 day")
    outcome = run(server, source, incremental=declared, paginator=None)
    assert [record["text"] for record in outcome.records("things")] == ["old", "new"]


def test_a_full_read_has_its_windows_too_but_no_bookmark(server) -> None:
    source = Source(rows(1, 200, 400))
    declared = Incremental(param="since", end_param="until", window="1 week")
    outcome = run(
        server,
        source,
        state=stands_at(at(300)),
        forced_replication_method="FULL_TABLE",
        incremental=declared,
        paginator=None,
    )
    assert outcome.ids("things") == [0, 1, 2]
    assert len(source.asked) == 3
    assert bookmark(outcome) == at(300)


@pytest.mark.parametrize(
    ("config", "declared", "words"),
    [
        ({"start_date": None}, {}, "start_date"),
        ({}, {"format": "date", "window": "1h"}, "too short"),
    ],
)
def test_windows_that_can_not_be_are_a_clear_error(server, config, declared, words) -> None:
    values = {"param": "since", "end_param": "until", "window": "1 week", **declared}
    outcome = run(server, Source([]), config=config, incremental=Incremental(**values))
    assert isinstance(outcome.failure, ConfigurationError)
    assert words in outcome.failure.describe()


@pytest.mark.parametrize(
    "wrong",
    [{"window": "5"}, {"window": timedelta(0)}, {"lookback": "soon"}, {"format": "iso"}, {"missing": "ignore"}],
)
def test_what_can_not_be_declared_is_refused_when_the_class_is_defined(wrong) -> None:
    with pytest.raises(ConfigurationError):
        Incremental(**wrong)


HOURS = st.lists(st.integers(0, 19 * 24 * 4).map(lambda quarter: quarter / 4), max_size=14)
WINDOWS = st.sampled_from([None, "1 day", "2 days 5 hours", "1 week", "1 month"])


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hours=HOURS,
    window=WINDOWS,
    end_inclusive=st.booleans(),
    ignores=st.sampled_from([(), ("until",), ("since",)]),
    order=st.sampled_from(["as they are", "oldest first", "newest first"]),
    bound_format=st.sampled_from([None, "date", "%Y-%m-%dT%H:00:00+00:00"]),
    fails_at=st.integers(1, 60),
    lookback=st.sampled_from([None, "3h"]),
)
def test_whatever_fails_nothing_is_lost_or_doubled_and_no_bookmark_is_ahead(
    server, hours, window, end_inclusive, ignores, order, bound_format, fails_at, lookback
) -> None:
    source = Source(
        rows(*hours, text="x" * 2000),
        order=order,
        ignores=ignores,
        end_inclusive=end_inclusive,
        fails_at=fails_at,
    )
    incremental = Incremental(
        param="since", end_param="until", window=window, format=bound_format, lookback=lookback, filter=bool(ignores)
    )
    is_sorted = order == "oldest first" and "since" not in ignores and "until" not in ignores
    declared = {"incremental": incremental, "is_sorted": is_sorted}
    outcome = run(server, source, **declared)
    everything = set(range(len(hours)))
    assert_true_to_its_word(outcome)
    if outcome.failure is None:
        assert set(outcome.ids("things")) == everything
    for position, line in enumerate(outcome.lines):
        if line["type"] == "STATE":
            before = {m["record"]["id"] for m in outcome.lines[:position] if m["type"] == "RECORD"}
            rest = run(server, replace(source, fails_at=None, asked=[]), state=line["value"], **declared)
            assert rest.failure is None
            assert before | set(rest.ids("things")) == everything


def assert_true_to_its_word(outcome: TapOutcome) -> None:
    """No record twice in a run; no state with a bookmark beyond what came before it."""
    ids = outcome.ids("things")
    assert len(ids) == len(set(ids))
    written: list[datetime] = []
    for line in outcome.lines:
        if line["type"] == "RECORD":
            written.append(datetime.fromisoformat(line["record"]["at"]))
        elif line["type"] == "STATE":
            value = line["value"]["bookmarks"].get("things", {}).get("replication_key_value")
            assert value is None or datetime.fromisoformat(value) in written


# What an API can't do


def test_an_api_that_can_not_filter_is_filtered_here(server) -> None:
    source = Source(rows(9, 1, 5, 3, 8))
    outcome = run(server, source, state=stands_at(at(5)), incremental=Incremental(filter=True))
    assert outcome.ids("things") == [0, 2, 4]
    assert bookmark(outcome) == at(9)


def test_of_the_newest_first_no_more_is_read_than_is_new(server) -> None:
    source = Source(rows(*range(60)), order="newest first")
    outcome = run(server, source, state=stands_at(at(52)), incremental=Incremental(newest_first=True))
    assert outcome.ids("things") == [59, 58, 57, 56, 55, 54, 53, 52]
    assert len(source.asked) == 3
    assert bookmark(outcome) == at(59)


def test_of_the_newest_first_the_bookmark_moves_only_when_all_is_read(server) -> None:
    source = Source(rows(*range(60), text="x" * 2000), order="newest first", fails_at=3)
    declared = {"incremental": Incremental(newest_first=True)}
    outcome = run(server, source, state=stands_at(at(40)), **declared)
    assert outcome.failure is not None
    assert bookmark(outcome) == at(40)
    rest = run(server, replace(source, fails_at=None), state=outcome.state, **declared)
    assert rest.ids("things") == list(range(59, 39, -1))


def test_a_source_that_only_says_it_has_the_newest_first_is_noticed(server) -> None:
    source = Source(rows(9, 8, 30, 2))
    outcome = run(server, source, state=stands_at(at(1)), incremental=Incremental(newest_first=True))
    assert isinstance(outcome.failure, InvalidStreamSortException)
    assert bookmark(outcome) == at(1)


def test_children_of_records_that_are_left_out_are_not_read(server) -> None:
    class Parent(Things):
        name, incremental = "things", Incremental(filter=True)

        def get_child_context(self, record, context):
            return {"thing": record["id"]}

    class Child(Things):
        name, path, parent_stream_type, replication_key = "parts", "/things/{thing}", Parent, None

    server.clear()
    source = Source(rows(1, 9))
    server.expect_request("/things").respond_with_handler(source.answer)
    server.expect_request("/things/1").respond_with_json({"data": [{"id": 7}]})
    url = f"http://127.0.0.1:{server.port}"
    Parent.url_base = Child.url_base = url
    Child.paginator = None

    class TapFamily(TapThings):
        def discover_streams(self):
            return [Parent(self), Child(self)]

    tap = TapFamily(config={"start_date": BASE.isoformat()}, state=stands_at(at(5)))
    output = bytearray()
    assert within(30, lambda: tap._sync(MessageWriter(output.extend), Stop())) is None
    assert TapOutcome(bytes(output), None, tap.bookmarks).ids("parts") == [7]


# Records without a replication key


ODD = [{"id": 0, "at": at(1)}, {"id": 1, "at": None}, {"id": 2}, {"id": 3, "at": at(2)}]


@pytest.mark.parametrize("odd", [ODD[1], ODD[2]])
def test_a_record_without_a_replication_key_is_an_error_unless_declared(server, odd) -> None:
    outcome = run(server, Source([ODD[0], odd]), incremental=Incremental(param="since"), paginator=None)
    assert isinstance(outcome.failure, DataError)
    assert "'at'" in str(outcome.failure)
    assert bookmark(outcome) is None


@pytest.mark.parametrize(("missing", "ids"), [("emit", [0, 1, 2, 3]), ("skip", [0, 3])])
def test_records_without_a_replication_key_are_emitted_or_left_out(server, caplog, missing, ids) -> None:
    outcome = run(server, Source(ODD), incremental=Incremental(param="since", missing=missing))
    assert outcome.failure is None
    assert outcome.ids("things") == ids
    assert bookmark(outcome) == at(2)
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "left out" in r.getMessage()]
    assert len(warnings) == (missing == "skip")
    assert all("left out: 2" in warning for warning in warnings)


def test_a_sorted_stream_may_have_records_without_a_replication_key(server) -> None:
    declared = {"incremental": Incremental(missing="emit"), "is_sorted": True}
    outcome = run(server, Source(ODD), **declared)
    assert (outcome.ids("things"), bookmark(outcome)) == ([0, 1, 2, 3], at(2))


# The clock


@pytest.mark.parametrize(("authoritative", "ends_at"), [(False, at(480)), (True, "2030-01-01T00:00:00Z")])
def test_a_bookmark_passes_the_run_s_beginning_only_if_the_author_says_so(server, authoritative, ends_at) -> None:
    source = Source([*rows(5), {"id": 9, "at": "2030-01-01T00:00:00Z"}])
    outcome = run(server, source, incremental=Incremental(param="since", authoritative=authoritative))
    assert outcome.ids("things") == [0, 9]
    assert bookmark(outcome) == ends_at


def test_values_without_a_time_zone_are_utc_and_said_once(server, caplog) -> None:
    records = [{"id": n, "at": f"2024-01-0{n}T00:00:00"} for n in range(1, 9)]

    source = Source(records)
    outcome = run(server, source, incremental=Incremental(param="since", window="2 days", end_param="until"))
    assert outcome.ids("things") == list(range(1, 9))
    assert datetime.fromisoformat(outcome.state["bookmarks"]["things"]["replication_key_value"]) in {
        datetime(2024, 1, 8),
        datetime(2024, 1, 8, tzinfo=UTC),
    }
    assert len([r for r in caplog.records if "no time zone" in r.getMessage()]) == 1


def test_instants_in_other_time_zones_are_compared_as_instants(server) -> None:
    records = [{"id": 0, "at": "2024-01-02T00:30:00+02:00"}, {"id": 1, "at": "2024-01-01T23:00:00Z"}]
    outcome = run(server, Source(records), state=stands_at(at(22.75)), incremental=Incremental(filter=True))
    assert outcome.ids("things") == [1]
    assert bookmark(outcome) == at(23)
