from __future__ import annotations

import jsonpath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError
from singerkit.http.extract import compile_extract, compile_first, extract_jsonpath

BODY = {
    "data": {"items": [{"id": 1, "tags": [{"x": 1}, {"x": 2}]}, {"id": 2, "tags": [{"x": 3}]}], "one": {"id": 9}},
    "none": None,
    "next-page": "token",
    "odd name": 5,
}


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("$.data.items[*]", BODY["data"]["items"]),
        ("data.items[*]", BODY["data"]["items"]),
        ("$['data']['items'][*].id", [1, 2]),
        ("$.data.items[0].id", [1]),
        ("$.data.items[-1].id", [2]),
        ("$.data.items[7].id", None),
        ("$.data.items[*].tags[*].x", [1, 2, 3]),
        ("$.next-page", ["token"]),
        ('$["odd name"]', [5]),
        ("$.none[*]", []),
        ("$.missing[*]", None),
        ("$.data.items.id", None),
        ("$", [BODY]),
        ("$..x", [1, 2, 3]),
        ("$.data.items[?@.id > 1].tags[*]", [{"x": 3}]),
        ("$.data.items[:1].id", [1]),
        ("$.data.items[?@.id > 5]", []),
    ],
)
def test_finds(expression, matches):
    assert compile_extract(expression)(BODY) == matches


@pytest.mark.parametrize("expression", ["$[*]", "$.data.one[*]", "$.data.items[?@.id == 1][*]"])
def test_a_wildcard_over_a_single_object_means_that_object(expression):
    body = {"data": {"one": {"id": 9}, "items": [{"id": 1}]}}
    found = {"$[*]": body, "$.data.one[*]": {"id": 9}, "$.data.items[?@.id == 1][*]": {"id": 1}}
    assert compile_extract(expression)(body) == [found[expression]]


def test_a_wildcard_over_a_list_means_its_members():
    assert list(extract_jsonpath("$[*]", [{"id": 1}, {"id": 2}])) == [{"id": 1}, {"id": 2}]


def test_first_is_none_where_there_is_nothing():
    assert compile_first("$.next")({"next": None}) is None
    assert compile_first("$.next")({}) is None
    assert compile_first("$.next")({"next": "a"}) == "a"
    assert compile_first("$.a[*].b")({"a": []}) is None


def test_says_what_is_not_jsonpath():
    with pytest.raises(ConfigurationError, match=r"'\$\.a\[' is not JSONPath"):
        compile_extract("$.a[")


NAMES = st.sampled_from(["a", "b", "c-d", "_e"])
DOCUMENTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(body=DOCUMENTS, path=st.lists(NAMES | st.integers(-2, 2), min_size=1, max_size=4))
def test_plain_paths_agree_with_the_library(body, path):
    expression = "$" + "".join(f"['{step}']" if isinstance(step, str) else f"[{step}]" for step in path)
    expected = jsonpath.findall(expression, body) if isinstance(body, dict | list) else []
    assert (compile_extract(expression)(body) or []) == expected
