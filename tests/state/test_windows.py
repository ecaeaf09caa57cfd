from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.state.windows import TimeStep, time_step_of, windows_of

STEPS = st.one_of(
    st.builds(TimeStep, st.integers(1, 14)),
    st.builds(TimeStep, st.just(0), st.timedeltas(timedelta(hours=7), timedelta(days=90))),
    st.builds(TimeStep, st.integers(1, 3), st.timedeltas(timedelta(0), timedelta(days=20))),
)
MOMENTS = st.datetimes(datetime(1999, 1, 1), datetime(2003, 1, 1), timezones=st.just(UTC))
DAYS = st.dates(date(1999, 1, 1), date(2003, 1, 1))


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ("2h", TimeStep(length=timedelta(hours=2))),
        ("30 min", TimeStep(length=timedelta(minutes=30))),
        ("day", TimeStep(length=timedelta(days=1))),
        ("1 day 12 hours", TimeStep(length=timedelta(hours=36))),
        ("2 Weeks", TimeStep(length=timedelta(weeks=2))),
        ("1 month", TimeStep(1)),
        ("1y6months", TimeStep(18)),
        ("90 s", TimeStep(length=timedelta(seconds=90))),
        (timedelta(days=3), TimeStep(length=timedelta(days=3))),
        (TimeStep(1), TimeStep(1)),
    ],
)
def test_steps_as_people_write_them(written, step) -> None:
    assert time_step_of(written) == step


@pytest.mark.parametrize("wrong", ["", " ", "5", "two days", "-1 day", "1 fortnight", "1.5h", 5, None, timedelta(-1)])
def test_what_is_no_step_is_an_error_that_says_how_to_write_one(wrong) -> None:
    with pytest.raises(ValueError, match=r"number and a unit|negative"):
        time_step_of(wrong)


@given(st.one_of(st.tuples(MOMENTS, MOMENTS), st.tuples(DAYS, DAYS)), STEPS)
def test_windows_cover_a_range_without_gap_or_overlap(ends, step) -> None:
    start, end = min(ends), max(ends)
    windows = list(windows_of(start, end, step))
    edges = [edge for window in windows for edge in window]
    assert edges == sorted(edges)
    assert edges[1:-1:2] == edges[2::2]
    assert (edges[0], edges[-1]) == (start, end) if start < end else not windows
    assert all(first < last for first, last in windows)


def test_months_keep_their_day() -> None:
    windows = windows_of(date(2024, 1, 31), date(2024, 5, 1), TimeStep(1))
    assert [first.isoformat() for first, _ in windows] == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


def test_the_end_of_time_is_an_end() -> None:
    assert list(windows_of(date(9999, 12, 1), date.max, TimeStep(1)))[-1][1] == date.max


@given(st.one_of(MOMENTS, DAYS), STEPS)
def test_looking_back_goes_back(moment, step) -> None:
    assert step.before(moment) < moment


def test_looking_back_part_of_a_day_goes_back_a_whole_one_where_only_days_are_told() -> None:
    assert TimeStep(length=timedelta(hours=2)).before(date(2024, 3, 1)) == date(2024, 2, 29)
    assert TimeStep(3).before(date(1, 1, 5)) == date(1, 1, 1)
