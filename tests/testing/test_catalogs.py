from __future__ import annotations

import copy

import pytest

from singerkit_testing.catalogs import (
    breadcrumbs_of,
    entry_of,
    metadata_of,
    stream_id,
    stream_name,
    with_everything,
    with_metadata,
    with_only,
    with_selection,
)


def entry(name, **more):
    return {
        "tap_stream_id": name,
        "stream": name.upper(),
        "schema": {
            "type": "object",
            "properties": {"id": {}, "inner": {"type": "object", "properties": {"x": {}}}, "blob": {}},
        },
        "metadata": [
            {"breadcrumb": [], "metadata": {"inclusion": "available", "selected": False}},
            {"breadcrumb": ["properties", "blob"], "metadata": {"inclusion": "unsupported"}},
        ],
        **more,
    }


CATALOG = {"streams": [entry("a"), entry("b")]}


@pytest.fixture(autouse=True)
def catalog_stays_as_it_is():
    before = copy.deepcopy(CATALOG)
    yield
    assert before == CATALOG


def test_names():
    assert (stream_id(CATALOG["streams"][0]), stream_name(CATALOG["streams"][0])) == ("a", "A")
    assert stream_name(entry("a", stream_alias="alias")) == "alias"
    assert stream_id({"stream": "old"}) == "old"


def test_breadcrumbs_go_into_nested_properties():
    assert list(breadcrumbs_of(CATALOG["streams"][0])) == [
        ("properties", "id"),
        ("properties", "inner"),
        ("properties", "inner", "properties", "x"),
        ("properties", "blob"),
    ]
    assert list(breadcrumbs_of({"schema": {"properties": None}})) == []


def test_everything_is_selected_in_so_many_words_but_what_is_unsupported():
    for chosen in with_everything(CATALOG)["streams"]:
        assert metadata_of(chosen)["selected"] is True
        assert metadata_of(chosen, ["properties", "inner", "properties", "x"]) == {"selected": True}
        assert metadata_of(chosen, ["properties", "blob"]) == {"inclusion": "unsupported"}


@pytest.mark.parametrize(
    ("root", "method"),
    [
        ({}, "FULL_TABLE"),
        ({"valid-replication-keys": ["at", "id"]}, "INCREMENTAL"),
        ({"replication-method": "LOG_BASED"}, "LOG_BASED"),
        ({"forced-replication-method": "FULL_TABLE", "valid-replication-keys": ["at"]}, None),
    ],
)
def test_a_replication_method_is_chosen_where_none_stands(root, method):
    catalog = {"streams": [entry("a", metadata=[{"breadcrumb": [], "metadata": root}])]}
    chosen = metadata_of(with_everything(catalog)["streams"][0])
    assert chosen.get("replication-method") == method
    assert chosen.get("replication-key") == ("at" if method == "INCREMENTAL" else None)


def test_one_stream_alone():
    chosen = with_only(CATALOG, ["b"])
    assert [metadata_of(each)["selected"] for each in chosen["streams"]] == [False, True]
    assert metadata_of(chosen["streams"][0], ["properties", "id"]) == {"selected": False}


def test_one_property():
    chosen = with_selection(CATALOG, "a", True, ["properties", "id"])
    assert metadata_of(entry_of(chosen, "a"), ["properties", "id"]) == {"selected": True}


def test_catalogs_older_than_metadata():
    old = {"streams": [{"stream": "a", "selected": False, "schema": {"selected": False, "properties": {}}}]}
    chosen = with_selection(old, "a", True)["streams"][0]
    assert (chosen["selected"], chosen["schema"]["selected"]) == (True, True)


def test_metadata_can_be_taken_away():
    changed = with_metadata(CATALOG, "a", {"selected": None, "new": 1})
    assert metadata_of(entry_of(changed, "a")) == {"inclusion": "available", "new": 1}


def test_an_unknown_stream():
    with pytest.raises(KeyError, match="zzz"):
        with_selection(CATALOG, "zzz", True)
