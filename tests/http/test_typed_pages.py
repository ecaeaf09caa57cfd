"""Pages decoded into rows are written just as pages decoded into dicts; what does not fit goes the other way."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import msgspec
import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from singerkit.errors import SingerKitError
from singerkit.http.client import bind_json, compile_body_decoder
from singerkit.http.pages import compile_records, decoded_body
from singerkit.http.paginate.places import body_of
from singerkit.http.typed_pages import open_page_decoder, rows_of
from singerkit.records.pipeline import compile_pipeline
from singerkit.records.rows import Rows, column_of

STAMP = "2024-01-01T00:00:00+00:00"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "text": {"type": ["string", "null"]},
        "number": {"type": ["number", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "any": {},
        "mixed": {"type": ["string", "integer", "null"]},
        "free": {"type": ["object", "null"]},
        "list": {"type": ["array", "null"], "items": {"type": ["number", "null"]}},
        "inner": {
            "type": ["object", "null"],
            "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": ["string", "null"]}, "c": {}},
        },
        "é\u2028": {"type": ["integer", "null"]},
    },
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["2024-01-01T00:00:00Z", "1.5", "", "\ud83d\ude00", '\x00\n\u2028"\\', "true"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
fitting = st.fixed_dictionaries(
    {"id": st.integers()},
    optional={
        "text": st.none() | st.text(max_size=8),
        "number": st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.none() | st.booleans(),
        "at": st.none() | st.just("2024-01-01T00:00:00Z"),
        "any": values,
        "mixed": values,
        "free": st.none() | st.dictionaries(st.text(max_size=3), values, max_size=3),
        "list": st.none() | st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        "inner": st.none()
        | st.fixed_dictionaries({}, optional={"a": st.none() | st.integers(), "b": st.none() | st.text(), "c": values}),
        "é\u2028": st.none() | st.integers(),
    },
)
odd = st.dictionaries(st.sampled_from([*SCHEMA["properties"], "unknown", ""]), values, max_size=6)
records = st.one_of(fitting, fitting, fitting, odd)


def number_texts() -> st.SearchStrategy[str]:
    """Numbers as no encoder of ours would write them."""
    return st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def answer_of(body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = body
    bind_json(response, compile_body_decoder(exact_numbers=False))
    return response


def written(
    pages: list[bytes], *, with_rows: bool, schema: dict[str, Any] = SCHEMA, path: str = "$.data[*]"
) -> list[Any]:
    """Give what is written for each page, one after the other, or the kind of error; and what was dropped."""
    pipeline = compile_pipeline("s", schema, ("id",), {})
    records_of = compile_records(path, schema["properties"])
    decoder = open_page_decoder(path, ("$.next",), pipeline.row_type) if with_rows else None
    outcomes: list[Any] = []
    for body in pages:
        response = answer_of(body)
        try:
            if decoder is not None and decoder.decode(response):
                found: Any = rows_of(response)
            else:
                found = records_of(decoded_body(response))
            # Numbers as they are spelled; members in any order and characters in any escape are the same JSON.
            lines = pipeline.render(found, STAMP).splitlines()
            outcomes.append([json.loads(line, parse_float=str, parse_int=str) for line in lines])
        except SingerKitError as error:
            outcomes.append((type(error), str(error)))
    return outcomes


@given(st.lists(st.lists(records, max_size=4), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_pages_are_written_the_same_either_way(pages, ascii_only, pretty):
    indent = 2 if pretty else None
    bodies = [json.dumps({"data": page, "next": 1}, ensure_ascii=ascii_only, indent=indent) for page in pages]
    texts = [body.encode("utf-8", "surrogatepass") for body in bodies]
    assert written(texts, with_rows=True) == written(texts, with_rows=False)


@given(st.lists(fitting, min_size=1, max_size=4))
def test_records_that_fit_are_decoded_into_rows(page):
    decoder = open_page_decoder("$.data[*]", ("$.next",), compile_pipeline("s", SCHEMA, ("id",), {}).row_type)
    assert decoder.decode(answer_of(json.dumps({"data": page}).encode()))


@given(st.lists(number_texts(), min_size=1, max_size=4), st.sampled_from(["id", "number", "any", "text", "mixed"]))
@example(["1e400"], "number")
@example(["1.0"], "id")
@example(["1e2"], "id")
@example(["9007199254740993.0"], "number")
@example(["0.1000000000000000055511151231257827"], "any")
@example(["-0"], "id")
def test_numbers_are_written_the_same_however_they_are_spelled(numbers, name):
    members = [f'{{"id": 1, "{name}": {number}}}' for number in numbers]
    page = f'{{"data": [{",".join(members)}]}}'.encode()
    assert written([page], with_rows=True) == written([page], with_rows=False)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [{"id": 1, "text": 5, "text": "x", "text": "y"}]}',
        b'{"data": [{"id": "x", "id": 1}]}',
        b'{"data": [{"id": 1, "inner": {"a": 1, "a": 2, "x": 3}}]}',
        b'{"data": [{"id": 2}], "data": [{"id": 3}]}',
        b'{"data": {"id": 1}}',
        b'{"data": null}',
        b'{"data": []}',
        b'{"data": [1]}',
        b'{"data": [null]}',
        b'{"error": "x"}',
        b'[{"id": 1}]',
        b'{"data": [{"id": 1, "text": "\\ud800"}]}',
        b'{"data": [{"id": 1, "number": NaN}]}',
        b'{"data": [{"id": 1, "number": "1.5"}]}',
        b'{"data": [{"id": 1, "flag": 1}]}',
        b'{"data": [{"text": "no key"}]}',
        b'{"data": [{"id": null}]}',
        b'{"data": [{"id": 1}',
        b'{"data": [{"id": 1, "text": "\xff"}]}',
        b'{"data": [{"id": 1}]} x',
        b"",
    ],
)
def test_odd_bodies_are_written_or_refused_the_same(body):
    follow_up = b'{"data": [{"id": 7, "text": "after"}]}'
    assert written([body, follow_up], with_rows=True) == written([body, follow_up], with_rows=False)


def test_an_unknown_property_is_dropped_and_reported_as_ever():
    pipeline = compile_pipeline("s", {"properties": {"id": {"type": "integer"}}}, ("id",), {})
    decoder = open_page_decoder("$.data[*]", (), pipeline.row_type)
    first, second = (answer_of(b'{"data": [{"id": 1, "more": "x"}]}') for _ in range(2))
    assert not decoder.decode(first)
    assert b"more" not in pipeline.render(first.json()["data"], STAMP)
    assert pipeline.changes.messages()
    assert decoder.decode(second)
    assert b"more" not in pipeline.render(rows_of(second), STAMP)


@pytest.mark.parametrize(
    ("path", "body", "body_paths", "skim"),
    [
        ("$.data[*]", {"data": [{"id": 1}], "next": "a", "x": 1}, ("$.next",), {"next": "a"}),
        ("$.data[*]", {"data": [{"id": 1}], "meta": {"next": "a"}}, ("$.meta.next", "$.more"), {"meta": {"next": "a"}}),
        (
            "$.r.data[*]",
            {"r": {"data": [{"id": 1}], "n": 5, "o": 1}, "m": True},
            ("$.r.n", "$.m"),
            {"r": {"n": 5}, "m": True},
        ),
        ("$.r.data[*]", {"r": {"data": [{"id": 1}]}, "m": [1, 2]}, ("$.m[0]",), {"r": {}, "m": [1, 2]}),
        ("$[*]", [{"id": 1}], (), None),
    ],
)
def test_beside_the_records_what_the_paginator_reads_is_there(path, body, body_paths, skim):
    pipeline = compile_pipeline("s", SCHEMA, ("id",), {})
    decoder = open_page_decoder(path, body_paths, pipeline.row_type)
    response = answer_of(json.dumps(body).encode())
    assert decoder.decode(response)
    assert list(rows_of(response)) == [{"id": 1}]
    if skim is not None:
        assert body_of(response) == skim
        assert response.json.__closure__  # nothing decoded it as a whole
    assert decoder.decode(answer_of(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("path", "body_paths"),
    [
        ("$.data[*]", ("$.data[-1].id",)),
        ("$.r.data[*]", ("$.r",)),
        ("$.data[*]", ("$..next",)),
        ("$.data[*]", ("$[0].x",)),
        ("$.data[*].node", ()),
        ("$.data[?@.id > 1]", ()),
        ("$.data", ()),
        ("$[*]", ("$.next",)),
    ],
)
def test_other_paths_are_left_to_the_ordinary_way(path, body_paths):
    assert open_page_decoder(path, body_paths, lambda: object) is None


def test_who_reads_the_whole_body_all_the_same_gets_it_and_is_not_served_twice():
    pipeline = compile_pipeline("s", SCHEMA, ("id",), {})
    decoder = open_page_decoder("$.data[*]", None, pipeline.row_type)
    body = b'{"data": [{"id": 1}], "next": 5}'
    first, second = answer_of(body), answer_of(body)
    assert decoder.decode(first)
    assert body_of(first) == {"data": [{"id": 1}], "next": 5}
    assert not decoder.decode(second)


def test_a_body_that_a_hook_has_decoded_is_not_decoded_again():
    pipeline = compile_pipeline("s", SCHEMA, ("id",), {})
    response = answer_of(b'{"data": [{"id": 1}]}')
    response.json()
    assert not open_page_decoder("$.data[*]", (), pipeline.row_type).decode(response)


def test_answers_that_never_fit_are_soon_left_alone():
    pipeline = compile_pipeline("s", SCHEMA, ("id",), {})
    decoder = open_page_decoder("$.data[*]", (), pipeline.row_type)
    for _ in range(20):
        assert not decoder.decode(answer_of(b'{"data": {"id": 1}}'))
    assert not decoder.decode(answer_of(b'{"data": [{"id": 1}]}'))


@pytest.mark.parametrize("with_rows", [True, False])
def test_an_answer_leaves_memory_when_it_is_used(with_rows):
    pipeline = compile_pipeline("s", SCHEMA, ("id",), {})
    decoder = open_page_decoder("$.data[*]", (), pipeline.row_type)
    response = answer_of(b'{"data": [{"id": 1}]}')
    assert decoder.decode(response) if with_rows else response.json()
    gone = weakref.ref(response)
    gc.disable()
    try:
        del response
        assert gone() is None
    finally:
        gc.enable()


def test_rows_look_like_records():
    row = msgspec.defstruct(
        "Row", [("f0", int), ("f1", str | None | msgspec.UnsetType, msgspec.UNSET)], rename={"f0": "id", "f1": "a b"}
    )
    rows = Rows([row(f0=1, f1=None), row(f0=2)])
    assert len(rows) == 2
    assert list(rows) == [{"id": 1, "a b": None}, {"id": 2}]
    assert (rows[-1], rows[:1]) == ({"id": 2}, [{"id": 1, "a b": None}])
    assert column_of(rows, "id") == [1, 2]
    for name in ("a b", "nowhere"):
        with pytest.raises(KeyError):
            column_of(rows, name)
    assert column_of(Rows([]), "id") == []
