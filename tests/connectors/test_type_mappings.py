"""Any schema and any records: what a database was given comes back equal, or as ``docs/reference/values.md`` says.

``SINGERKIT_TYPE_EXAMPLES`` says how many examples each database gets, a run of the target with several streams each.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import servers
from .conftest import DATABASES, made, schema_of, state
from .test_golden_values import as_day, as_instant, as_json, as_number

EXAMPLES = int(os.environ.get("SINGERKIT_TYPE_EXAMPLES", "1"))

#: What PostgreSQL refuses, and what is half a character, is left out: see the page, and the tests of half characters.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
whole = st.one_of(
    st.integers(-9, 9),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1]),
    st.integers(-(10**60), 10**60),
)
doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**25), max_value=10**25).map(
    lambda value: format(value, "f")
)
numbers = st.one_of(whole.map(str), doubles, decimals)
instants = st.builds(
    lambda moment, minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.integers(-14 * 60, 14 * 60),
)
moments = st.one_of(
    instants,
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)).map(lambda moment: moment.isoformat()),
    st.datetimes(datetime(1970, 1, 1)).map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
)
json_texts = st.recursive(
    st.one_of(st.sampled_from(["null", "true", "false"]), numbers, texts.map(json.dumps)),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda members: f"[{', '.join(members)}]"),
        st.dictionaries(texts.map(json.dumps), parts, max_size=3).map(
            lambda members: f"{{{', '.join(f'{name}: {value}' for name, value in members.items())}}}"
        ),
    ),
    max_leaves=6,
)


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


@dataclass(frozen=True)
class Kind:
    """A kind of property: its schema, the JSON texts of its values, and whether what was read is such a value."""

    schema: dict[str, Any]
    values: st.SearchStrategy[str]
    is_equal: Callable[[Any, Any], bool]


def same(read: Callable[[Any], Any]) -> Callable[[Any, Any], bool]:
    """Compare what was read and what was given, both as this reads them."""
    return lambda found, given: read(found) == read(given)


def as_any(found: Any, given: Any) -> bool:
    """Compare a value of several types: a text is there as it is or as JSON, all else too."""
    if isinstance(found, str):
        readings = [found]
        with suppress(ValueError):
            readings.append(exactly(found))
        return any(reading == given for reading in readings)
    return Decimal(str(found)) == given if isinstance(found, float) else found == given


def of_type(name: str, **more: Any) -> dict[str, Any]:
    return {"type": [name, "null"], **more}


KINDS = [
    Kind(of_type("integer"), whole.map(str), same(as_number)),
    Kind(of_type("number"), numbers, same(as_number)),
    Kind(of_type("number", multipleOf=0.01), st.decimals(-(10**15), 10**15, places=2).map(str), same(as_number)),
    Kind(of_type("string", format="singer.decimal"), decimals.map(json.dumps), same(Decimal)),
    Kind(of_type("boolean"), st.sampled_from(["true", "false"]), same(bool)),
    Kind(of_type("string"), texts.map(json.dumps), same(str)),
    Kind(of_type("string", format="date-time"), moments.map(json.dumps), same(as_instant)),
    Kind(of_type("string", format="date"), st.dates().map(lambda day: f'"{day}"'), same(as_day)),
    Kind(of_type("string", format="time"), st.times().map(lambda time: f'"{time.isoformat()}"'), same(str)),
    Kind(of_type("object"), json_texts.filter(lambda text: text[0] == "{"), same(as_json)),
    Kind(of_type("array"), json_texts.filter(lambda text: text[0] == "["), same(as_json)),
    Kind({"type": ["integer", "string", "null"]}, st.one_of(whole.map(str), texts.map(json.dumps)), as_any),
    Kind({"type": ["number", "object", "null"]}, json_texts.filter(lambda text: text[0] in "{-0123456789"), as_any),
    Kind({}, json_texts, as_any),
]


@st.composite
def streams(draw: Any) -> tuple[list[Kind], list[list[str | None]]]:
    """Give a stream's kinds of properties, and for each record the JSON texts of its values; some records lack some."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8))
    row = st.tuples(*(st.one_of(st.none(), st.just("null"), kind.values, kind.values, kind.values) for kind in kinds))
    return kinds, draw(st.lists(row, min_size=1, max_size=12))


def messages_of(name: str, kinds: list[Kind], rows: list[list[str | None]], keys: list[str]) -> bytes:
    properties = {"id": {"type": "integer"}, **{f"c{number}": kind.schema for number, kind in enumerate(kinds)}}
    head = {"type": "SCHEMA", "stream": name, "schema": {"properties": properties}, "key_properties": keys}
    lines = [json.dumps(head)]
    for number, row in enumerate(rows):
        members = "".join(f', "c{n}": {value}' for n, value in enumerate(row) if value is not None)
        lines.append(f'{{"type": "RECORD", "stream": "{name}", "record": {{"id": {number}{members}}}}}')
    return "".join(f"{line}\n" for line in lines).encode()


def check(kinds: list[Kind], rows: list[list[str | None]], found: list[dict[str, Any]]) -> None:
    assert [int(row["id"]) for row in found] == list(range(len(rows)))
    for row, back in zip(rows, found, strict=True):
        for number, (kind, text) in enumerate(zip(kinds, row, strict=True)):
            given, value = None if text is None else exactly(text), back[f"c{number}"]
            if given is None:
                assert value in (None, "null"), (kind.schema, value)  # a null in a column of JSON
            else:
                assert value is not None and kind.is_equal(value, given), (kind.schema, text, value)


@pytest.mark.parametrize("name", DATABASES)
def test_records_of_any_schema_come_back(name, tmp_path):
    making = made(name, tmp_path)
    target = next(making)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate] if EXAMPLES < 10 else list(Phase),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(streams(), min_size=4, max_size=8),
        st.sampled_from([[], ["id"]]),
        st.sampled_from([1, 3, 1_000]),
        st.booleans(),
    )
    def loads_all(drawn, keys, batch_size_rows, keeps_state):
        servers.clean(name, schema_of(target.folder))
        shutil.rmtree(target.folder)
        target.folder.mkdir()
        messages = [messages_of(f"s{n}", kinds, rows, keys) for n, (kinds, rows) in enumerate(drawn)]
        kept = {"state_key": "types"} if keeps_state else {}
        target.load(*messages, state(1), batch_size_rows=batch_size_rows, **kept)
        for number, (kinds, rows) in enumerate(drawn):
            check(kinds, rows, target.rows(f"s{number}"))

    try:
        loads_all()
    finally:
        list(making)
