"""Values as texts that a server reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from singerkit.sql.texts import date_texts

_zones = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(seconds=-17))])
_moments = st.datetimes(timezones=_zones)


@given(st.lists(st.none() | st.dates() | _moments, max_size=6))
def test_dates_are_written_as_what_they_are(values):
    texts = date_texts(values)
    assert len(texts) == len(values)
    for value, text in zip(values, texts, strict=True):
        if value is None:
            assert text is None
        elif isinstance(value, datetime):
            assert datetime.fromisoformat(text) == value
        else:
            assert date.fromisoformat(text) == value
