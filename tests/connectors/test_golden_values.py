"""What becomes of a value in each database: it comes back equal, or is refused, or the docs say what changes.

The table in ``docs/reference/values.md`` is written from what happens here: ``SINGERKIT_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .conftest import DATABASES, made, schema, state

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "values.md"
TARGETS = [*DATABASES, "target-parquet"]
BEGIN, END = "<!-- written by tests/connectors/test_golden_values.py -->", "<!-- end -->"

INTEGER, NUMBER, TEXT = {"type": ["integer", "null"]}, {"type": ["number", "null"]}, {"type": ["string", "null"]}
OBJECT, ARRAY = {"type": ["object", "null"]}, {"type": ["array", "null"]}
MEMBERS = {"type": ["object", "null"], "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}}}
LISTED = {"type": ["array", "null"], "items": MEMBERS}
UNION = {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}


def text_of(name: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "format": name}


def as_number(value: Any) -> Any:
    return Decimal(str(value))


def as_signed(value: Any) -> Any:
    return str(float(value))


def as_instant(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.replace(" ", "T"))
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value if value.tzinfo else value.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)


def as_day(value: Any) -> Any:
    return value if isinstance(value, date) else date.fromisoformat(value)


def as_json(value: Any) -> Any:
    return json.loads(value, parse_float=Decimal) if isinstance(value, str | bytes) else value


def as_union(value: Any) -> Any:
    found = json.loads(value) if isinstance(value, str) and value[:1] == '"' else value
    return found if isinstance(found, str) and not found.isdecimal() else int(found)


@dataclass(frozen=True)
class Case:
    """A value as it is written in a message, and how what was read is compared with it."""

    name: str
    schema: dict[str, Any]
    value: str
    read: Callable[[Any], Any]
    expected: Any


NANOSECONDS = "2024-01-01T00:00:00.123456789Z"
A_UUID = "00000000-0000-0000-0000-00000000000a"

CASES = [
    Case("largest 64-bit integer", INTEGER, "9223372036854775807", as_number, Decimal(2**63 - 1)),
    Case("smallest 64-bit integer", INTEGER, "-9223372036854775808", as_number, Decimal(-(2**63))),
    Case("integer beyond 64 bits", INTEGER, "18446744073709551616", as_number, Decimal(2**64)),
    Case("integer of 40 digits", INTEGER, "1" * 40, as_number, Decimal("1" * 40)),
    Case("0.1", NUMBER, "0.1", as_number, Decimal("0.1")),
    Case("1e300", NUMBER, "1e300", as_number, Decimal("1e300")),
    Case("-0.0", NUMBER, "-0.0", as_signed, "-0.0"),
    Case(
        "number of 38 digits, 18 behind the point",
        NUMBER,
        "12345678901234567890.123456789012345678",
        as_number,
        Decimal("12345678901234567890.123456789012345678"),
    ),
    Case("1e-400", NUMBER, "1e-400", as_number, Decimal("1e-400")),
    Case("first instant", text_of("date-time"), '"0001-01-01T00:00:00Z"', as_instant, timedelta(days=-719162)),
    Case(
        "last instant",
        text_of("date-time"),
        '"9999-12-31T23:59:59.999999Z"',
        as_instant,
        datetime.max.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC),
    ),
    Case(
        "instant with an offset",
        text_of("date-time"),
        '"2024-01-01T05:30:00.000001+05:30"',
        as_instant,
        as_instant("2024-01-01T00:00:00.000001Z"),
    ),
    Case(
        "instant without an offset (UTC)",
        text_of("date-time"),
        '"2024-01-01T00:00:00"',
        as_instant,
        as_instant("2024-01-01T00:00:00Z"),
    ),
    Case("nanoseconds", text_of("date-time"), f'"{NANOSECONDS}"', str, NANOSECONDS),
    Case("first day", text_of("date"), '"0001-01-01"', as_day, date.min),
    Case("last day", text_of("date"), '"9999-12-31"', as_day, date.max),
    Case("time of day", text_of("time"), '"23:59:59.999999"', str, "23:59:59.999999"),
    Case("time of day with an offset", text_of("time"), '"12:00:00+02:00"', str, "12:00:00+02:00"),
    Case("UUID", text_of("uuid"), f'"{A_UUID}"', str, A_UUID),
    Case("empty text", TEXT, '""', str, ""),
    Case("text with a NUL", TEXT, '"a\\u0000b"', str, "a\0b"),
    Case("text of 4-byte characters", TEXT, '"😀𝔘"', str, "😀𝔘"),
    Case("text of 1 MB", TEXT, json.dumps("x" * 1_000_000), str, "x" * 1_000_000),
    Case(
        "object",
        OBJECT,
        '{"b": [1, null, {"c": "é"}], "a": 1.123456789012345678}',
        as_json,
        {"b": [1, None, {"c": "é"}], "a": Decimal("1.123456789012345678")},
    ),
    Case("array", ARRAY, '[1, "x", null, [true]]', as_json, [1, "x", None, [True]]),
    Case("object with a NUL in a text", OBJECT, '{"a": "\\u0000"}', as_json, {"a": "\0"}),
    Case("object that names its members", MEMBERS, '{"a": 1, "b": "é"}', as_json, {"a": 1, "b": "é"}),
    Case("object without a member that its schema names", MEMBERS, '{"a": 1}', as_json, {"a": 1}),
    Case("object with a member that its schema does not name", MEMBERS, '{"a": 1, "c": 2}', as_json, {"a": 1, "c": 2}),
    Case("array of such objects", LISTED, '[{"a": 1, "b": null}, null]', as_json, [{"a": 1, "b": None}, None]),
    Case("integer beyond 64 bits in an object", MEMBERS, f'{{"a": {2**64}, "b": ""}}', as_json, {"a": 2**64, "b": ""}),
    Case("integer of a union", UNION, "7", as_union, 7),
    Case("text of a union", UNION, '"seven"', as_union, "seven"),
]

#: What does not come back equal: (case, target) to what the docs say.
LOSSES = {
    ("-0.0", "target-sqlite"): "0.0: SQLite keeps whole doubles as integers",
    ("-0.0", "target-mysql"): "0: the server drops the sign",
    ("-0.0", "target-postgres"): "0: `numeric` has no negative zero",
    ("object without a member that its schema names", "target-parquet"): "null in its place",
    ("text with a NUL", "target-postgres"): "refused",
    ("object with a NUL in a text", "target-postgres"): "refused",
    **{
        ("nanoseconds", target): "cut to microseconds, with a counted warning"
        for target in ("target-duckdb", "target-postgres", "target-mysql", "target-parquet")
    },
}


def stored(target: Any) -> dict[int, Any]:
    """Load each value in a record of its own, and give what the row has; nothing for a record that was refused."""
    columns = {f"c{number}": case.schema for number, case in enumerate(CASES)}
    lines = [
        f'{{"type": "RECORD", "stream": "people", "record": {{"id": {n}, "c{n}": {case.value}}}}}\n'.encode()
        for n, case in enumerate(CASES)
    ]
    target.load(
        schema(id={"type": "integer"}, **columns),
        *lines,
        state(1),
        on_invalid="quarantine",
        quarantine_path=str(target.folder.parent / "aside"),
        max_invalid_ratio=1,
    )
    return {int(row["id"]): row[f"c{int(row['id'])}"] for row in target.rows(order=None)}


@pytest.mark.parametrize("name", TARGETS)
def test_every_value_comes_back_equal_or_as_the_docs_say(name, tmp_path):
    for target in made(name, tmp_path):
        rows = stored(target)
    for number, case in enumerate(CASES):
        documented = LOSSES.get((case.name, name))
        if documented == "refused":
            assert number not in rows, f"{case.name}: {rows[number]!r} was stored, and the docs say that it is refused"
            continue
        assert number in rows, f"{case.name} was refused"
        is_equal = case.read(rows[number]) == case.expected
        assert is_equal == (documented is None), f"{case.name}: {str(rows[number])[:100]!r}"


def table() -> str:
    lines = [f"| value | {' | '.join(f'`{name}`' for name in TARGETS)} |", "|---" * (len(TARGETS) + 1) + "|"]
    for case in CASES:
        cells = [LOSSES.get((case.name, name), "equal") for name in TARGETS]
        lines.append(f"| {case.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_docs_have_the_table():
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    written = f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
    assert page == written or os.environ.get("SINGERKIT_WRITE_DOCS")
