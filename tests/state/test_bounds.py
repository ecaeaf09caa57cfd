from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.state.bounds import bound_writer, check_format
from singerkit.state.replication_key import DATE, INSTANT, NUMBER, TEXT

AT = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bound_format", "lower", "upper"),
    [
        (None, "2024-05-06T07:08:09.250000Z", "2024-05-06T07:08:09.250000Z"),
        ("rfc3339", "2024-05-06T07:08:09.250000Z", "2024-05-06T07:08:09.250000Z"),
        ("date", "2024-05-06", "2024-05-07"),
        ("epoch", 1714979289, 1714979290),
        ("epoch_ms", 1714979289250, 1714979289250),
        ("%Y-%m-%dT%H:%M:%S", "2024-05-06T07:08:09", "2024-05-06T07:08:10"),
        ("%Y-%m-%d %H:%M", "2024-05-06 07:08", "2024-05-06 07:09"),
        ("%Y%m%d%H", "2024050607", "2024050608"),
        ("%Y/%m/%d", "2024/05/06", "2024/05/07"),
        (lambda at: f">{at:%H}", ">07", ">07"),
    ],
)
def test_bounds_are_rounded_outwards(bound_format, lower, upper) -> None:
    writer = bound_writer(bound_format, INSTANT)
    assert (writer.lower(AT), writer.upper(AT)) == (lower, upper)


def test_what_can_be_written_exactly_is_not_rounded() -> None:
    midnight = datetime(2024, 5, 6, tzinfo=UTC)
    assert bound_writer("date", INSTANT).upper(midnight) == "2024-05-06"
    assert bound_writer("epoch", INSTANT).upper(midnight) == bound_writer("epoch", INSTANT).lower(midnight)


def test_a_day_that_the_source_includes_is_the_last_one_that_is_wanted() -> None:
    writer = bound_writer("date", INSTANT)
    assert writer.upper(AT, inclusive=True) == "2024-05-06"
    assert writer.upper(datetime(2024, 5, 6, tzinfo=UTC), inclusive=True) == "2024-05-05"
    assert bound_writer("epoch", INSTANT).upper(AT, inclusive=True) == 1714979290


def test_other_time_zones_are_written_in_utc() -> None:
    at = datetime(2024, 5, 6, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert bound_writer("date", INSTANT).lower(at) == "2024-05-05"
    assert bound_writer(None, INSTANT).lower(at) == "2024-05-05T23:30:00Z"


def test_each_type_of_key_is_written_as_it_is() -> None:
    assert bound_writer(None, DATE).lower(date(2024, 5, 6)) == "2024-05-06"
    assert bound_writer("epoch", DATE).lower(date(2024, 5, 6)) == 1714953600
    assert bound_writer(None, NUMBER).lower(7) == bound_writer("epoch", NUMBER).lower(7) == 7
    assert bound_writer(None, TEXT).lower("b7") == "b7"
    assert bound_writer("date", TEXT).lower("2024-05-06T23:30:00-01:00") == "2024-05-07"


@pytest.mark.parametrize("wrong", ["iso", "", "%Y-%m", "%%d"])
def test_what_is_no_format_is_an_error(wrong) -> None:
    with pytest.raises(ValueError, match=r"strftime|one day"):
        check_format(wrong)


@given(
    st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%f"]),
)
def test_a_request_never_asks_for_too_little(at, pattern) -> None:
    writer = bound_writer(pattern, INSTANT)
    lower = datetime.strptime(writer.lower(at), pattern).replace(tzinfo=UTC)
    upper = datetime.strptime(writer.upper(at), pattern).replace(tzinfo=UTC)
    assert lower <= at <= upper
    assert upper - lower in (timedelta(0), writer.resolution)
