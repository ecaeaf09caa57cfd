from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flights_data
from flights_data import NEW_YORK, Zone, instant_after, minutes, timestamp

SAMPLE = 20_000


@pytest.fixture(scope="module")
def flights():
    return list(islice(flights_data.flights(), SAMPLE))


def test_that_the_first_flight_is_what_the_data_says(flights):
    assert flights[0] == {
        "id": "UA1545-2013-01-01T10",
        "carrier": {"code": "UA", "name": "United Air Lines Inc."},
        "flight_number": 1545,
        "tail_number": "N14228",
        "status": "arrived",
        "departure": {
            "airport": "EWR",
            "scheduled": "2013-01-01T05:15:00-05:00",
            "actual": "2013-01-01T05:17:00-05:00",
            "delay_minutes": 2,
        },
        "arrival": {
            "airport": "IAH",
            "scheduled": "2013-01-01T08:19:00-06:00",
            "actual": "2013-01-01T08:30:00-06:00",
            "delay_minutes": 11,
        },
        "distance_miles": 1400,
        "air_time_minutes": 227,
        "revision": 1,
        "updated_at": "2013-01-01T14:45:00Z",
    }


def test_that_ids_are_unique(flights):
    assert len({flight["id"] for flight in flights}) == SAMPLE


def test_that_a_delay_is_the_time_between_scheduled_and_actual(flights):
    for flight in flights:
        for end in (flight["departure"], flight["arrival"]):
            if end["delay_minutes"] is not None:
                waited = datetime.fromisoformat(end["actual"]) - datetime.fromisoformat(end["scheduled"])
                assert waited.total_seconds() == end["delay_minutes"] * 60


def test_that_a_flight_takes_longer_than_its_time_in_the_air(flights):
    for flight in flights:
        if flight["air_time_minutes"] is not None:
            left, landed = (datetime.fromisoformat(flight[end]["actual"]) for end in ("departure", "arrival"))
            taxiing = (landed - left).total_seconds() / 60 - flight["air_time_minutes"]
            assert 0 < taxiing < 240


def test_that_the_status_says_what_is_missing(flights):
    assert {flight["status"] for flight in flights} == {"arrived", "cancelled", "diverted"}
    for flight in flights:
        assert (flight["status"] == "cancelled") == (flight["departure"]["actual"] is None)
        assert (flight["status"] == "arrived") == (flight["arrival"]["delay_minutes"] is not None)


def test_that_a_report_is_closed_after_the_arrival(flights):
    for flight in flights:
        closed = datetime.fromisoformat(flight["updated_at"])
        assert closed > datetime.fromisoformat(flight["arrival"]["actual"] or flight["departure"]["scheduled"])


def test_that_small_files_come_whole_and_in_order():
    codes = [airline["code"] for airline in flights_data.airlines()]
    airports = list(flights_data.airports())
    tail_numbers = [plane["tail_number"] for plane in flights_data.planes()]
    observed = [observation["observed_at"] for observation in flights_data.weather()]
    assert (len(codes), len(airports), len(tail_numbers), len(observed)) == (16, 1_458, 3_322, 26_115)
    assert codes == sorted(codes)
    assert tail_numbers == sorted(tail_numbers)
    assert observed == sorted(observed)
    assert {airport["faa"] for airport in airports if airport["has_weather_station"]} == {"EWR", "JFK", "LGA"}


@given(
    earliest=st.integers(minutes("2013-01-01T00:00"), minutes("2013-12-31T00:00")),
    clock_time=st.integers(0, 23).flatmap(lambda hour: st.integers(hour * 100, hour * 100 + 59)),
    zone=st.sampled_from([NEW_YORK, Zone(-600, summer_time=False), Zone(-480, summer_time=True)]),
)
def test_that_the_instant_found_shows_the_time_asked_for(earliest, clock_time, zone):
    instant = instant_after(earliest, clock_time, zone)
    written = timestamp(instant, zone.offset_at(instant))
    same_clocks = zone.offset_at(earliest) == zone.offset_at(instant)
    assert datetime.fromisoformat(written).timestamp() == instant * 60
    assert earliest - 60 <= instant < earliest + 25 * 60
    if same_clocks:
        assert int(written[11:13]) * 100 + int(written[14:16]) == clock_time


def test_that_clocks_change_when_they_did_in_2013():
    before, after = minutes("2013-03-10T06:59"), minutes("2013-03-10T07:00")
    assert timestamp(before, NEW_YORK.offset_at(before)) == "2013-03-10T01:59:00-05:00"
    assert timestamp(after, NEW_YORK.offset_at(after)) == "2013-03-10T03:00:00-04:00"
    before, after = minutes("2013-11-03T05:59"), minutes("2013-11-03T06:00")
    assert timestamp(before, NEW_YORK.offset_at(before)) == "2013-11-03T01:59:00-04:00"
    assert timestamp(after, NEW_YORK.offset_at(after)) == "2013-11-03T01:00:00-05:00"


def test_that_reading_the_data_does_not_load_pandas():
    code = "import sys, flights_data; next(flights_data.flights()); sys.exit('pandas' in sys.modules)"
    folder = flights_data.__file__.rpartition("/")[0]
    assert subprocess.run([sys.executable, "-c", code], cwd=folder).returncode == 0
