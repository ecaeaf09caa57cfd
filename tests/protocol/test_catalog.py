from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import CatalogError
from singerkit.protocol.catalog import (
    Catalog,
    CatalogEntry,
    Metadata,
    MetadataMapping,
    Selection,
    StreamMetadata,
    deselect_all,
    discovered_metadata,
    legacy_catalog,
    selection_of,
    set_selected,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "updated_at": {"type": "string", "format": "date-time"},
        "owner": {
            "type": ["object", "null"],
            "properties": {"name": {"type": "string"}, "mail": {"type": "string"}},
        },
    },
}
OWNER = ("properties", "owner")
MAIL = (*OWNER, "properties", "mail")


def entry_with(*facts: tuple[tuple[str, ...], dict]) -> CatalogEntry:
    listed = [{"breadcrumb": list(breadcrumb), "metadata": said} for breadcrumb, said in facts]
    return CatalogEntry.from_dict({"tap_stream_id": "users", "schema": SCHEMA, "metadata": listed})


def selected(*facts: tuple[tuple[str, ...], dict], automatic: tuple[str, ...] = ()) -> Selection:
    return selection_of(entry_with(*facts), SCHEMA, automatic=automatic)


# -- discovery


def test_discovery_states_facts_of_the_stream_and_of_every_property() -> None:
    metadata = discovered_metadata(
        SCHEMA,
        key_properties=["id"],
        replication_keys=["updated_at"],
        forced_replication_method="INCREMENTAL",
        schema_name="public",
    )
    assert metadata.to_list() == [
        {
            "breadcrumb": [],
            "metadata": {
                "inclusion": "available",
                "selected-by-default": True,
                "table-key-properties": ["id"],
                "valid-replication-keys": ["updated_at"],
                "forced-replication-method": "INCREMENTAL",
                "schema-name": "public",
            },
        },
        {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
        {"breadcrumb": ["properties", "updated_at"], "metadata": {"inclusion": "automatic"}},
        {"breadcrumb": ["properties", "owner"], "metadata": {"inclusion": "available"}},
        {"breadcrumb": ["properties", "owner", "properties", "name"], "metadata": {"inclusion": "available"}},
        {"breadcrumb": ["properties", "owner", "properties", "mail"], "metadata": {"inclusion": "available"}},
    ]


def test_discovery_names_no_key_that_the_schema_lacks() -> None:
    root = discovered_metadata(SCHEMA, key_properties=["id", "gone"], replication_keys=["gone"]).root
    assert root == {"inclusion": "available", "selected-by-default": True, "table-key-properties": ["id"]}


def test_discovery_makes_no_choice_for_the_user() -> None:
    metadata = discovered_metadata(
        SCHEMA, key_properties=None, replication_keys=["id", "updated_at"], selected_by_default=False
    )
    written = {key for facts in metadata.values() for key in facts}
    assert written.isdisjoint({"selected", "replication-method", "replication-key", "view-key-properties"})
    assert metadata.root.selected_by_default is False


def test_what_discovery_writes_selects_by_default_when_it_comes_back() -> None:
    for by_default in (True, False):
        metadata = discovered_metadata(SCHEMA, key_properties=["id"], selected_by_default=by_default)
        document = {"streams": [CatalogEntry("users", schema=SCHEMA, metadata=metadata).to_dict()]}
        read = Catalog.from_dict(json.loads(json.dumps(document)))["users"]
        assert selection_of(read, SCHEMA, automatic=["id"]) == Selection(stream_selected=by_default)


def test_standard_metadata_is_discovery_by_its_older_name() -> None:
    older = MetadataMapping.get_standard_metadata(
        schema=SCHEMA, key_properties=["id"], valid_replication_keys=["updated_at"], replication_method="INCREMENTAL"
    )
    newer = discovered_metadata(
        SCHEMA,
        key_properties=["id"],
        replication_keys=["updated_at"],
        forced_replication_method="INCREMENTAL",
        selected_by_default=None,
    )
    assert older == newer


# -- the document


def test_unknown_keys_come_back_as_they_were() -> None:
    document = {
        "streams": [
            {
                "tap_stream_id": "public-users",
                "stream": "users",
                "key_properties": ["id"],
                "row_count": 3,
                "is_view": False,
                "x-ui": {"colour": "red"},
                "schema": {"type": "object", "properties": {"selected": {"type": "boolean"}}, "x-note": 1},
                "metadata": [
                    {"breadcrumb": [], "metadata": {"selected": True, "x-owner": ["me"]}},
                    {"breadcrumb": ["properties", "selected"], "metadata": {}},
                ],
            }
        ],
        "version": 7,
    }
    before = copy.deepcopy(document)
    assert Catalog.from_dict(document).to_dict() == before
    assert document == before


def test_what_to_dict_gives_shares_nothing_with_the_catalog() -> None:
    catalog = Catalog.from_dict({"streams": [{"tap_stream_id": "users", "schema": SCHEMA, "metadata": []}]})
    first = catalog.to_dict()
    first["streams"][0]["schema"]["properties"].clear()
    assert catalog.to_dict()["streams"][0]["schema"] == SCHEMA


def test_nulls_and_missing_parts_are_accepted() -> None:
    entry = CatalogEntry.from_dict(
        {"tap_stream_id": "users", "key_properties": None, "metadata": None, "replication_method": None}
    )
    assert (entry.stream, entry.key_properties, entry.schema, entry.metadata) == ("users", None, {}, {})
    assert CatalogEntry.from_dict({"stream": "users"}).tap_stream_id == "users"


def test_older_places_of_selection_move_to_the_metadata() -> None:
    schema = copy.deepcopy(SCHEMA)
    schema["selected"] = "true"
    schema["properties"]["id"]["inclusion"] = "automatic"
    schema["properties"]["owner"]["properties"]["mail"]["selected"] = False
    entry = CatalogEntry.from_dict({"tap_stream_id": "users", "schema": schema})
    assert entry.schema == SCHEMA
    assert entry.metadata == {
        (): {"selected": True},
        ("properties", "id"): {"inclusion": "automatic"},
        MAIL: {"selected": False},
    }


def test_metadata_wins_over_the_entry_and_the_entry_over_the_schema() -> None:
    document = {"tap_stream_id": "users", "selected": False, "schema": {**SCHEMA, "selected": True}}
    assert CatalogEntry.from_dict(document).metadata.root.selected is False
    document["metadata"] = [{"breadcrumb": [], "metadata": {"selected": "true"}}]
    assert CatalogEntry.from_dict(document).metadata.root.selected is True


def test_a_bare_null_in_any_of_is_mended() -> None:
    schema = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, "null"]}}}
    read = CatalogEntry.from_dict({"tap_stream_id": "users", "schema": schema}).schema
    assert read["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_in_a_properties_document_a_stream_that_says_nothing_is_not_selected() -> None:
    streams = [{"stream": "a", "schema": {"selected": True}}, {"stream": "b", "schema": {"type": "object"}}]
    catalog = legacy_catalog({"streams": streams})
    assert [selection_of(entry, entry.schema).stream_selected for entry in catalog.streams] == [True, False]
    untouched = legacy_catalog({"streams": streams[1:]})
    assert selection_of(untouched["b"], {}).stream_selected


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "catalog: expected an object, found a list"),
        ({}, "streams: expected a list of streams"),
        ({"streams": [3]}, r"streams\[0\]: expected an object, found a number"),
        ({"streams": [{"schema": {}}]}, r"streams\[0\].tap_stream_id: is missing"),
        ({"streams": [{"stream": "a"}, {"stream": "a"}]}, r"streams\[1\].tap_stream_id: 'a' is there twice"),
        ({"streams": [{"stream": "a", "schema": []}]}, r"streams\[0\].schema: expected an object, found a list"),
        (
            {"streams": [{"stream": "a", "key_properties": ["id", 1]}]},
            r"streams\[0\].key_properties\[1\]: expected a n",
        ),
        (
            {"streams": [{"stream": "a", "replication_method": "SOME"}]},
            r"streams\[0\].replication_method: expected one",
        ),
        ({"streams": [{"stream": "a", "metadata": {}}]}, r"streams\[0\].metadata: expected a list, found an object"),
        ({"streams": [{"stream": "a", "metadata": ["x"]}]}, r"streams\[0\].metadata\[0\]: expected an object"),
        ({"streams": [{"stream": "a", "metadata": [{}]}]}, r"streams\[0\].metadata\[0\].breadcrumb: is missing"),
        (
            {"streams": [{"stream": "a", "metadata": [{"breadcrumb": [], "metadata": {"selected": "yes"}}]}]},
            r"streams\[0\].metadata\[0\].metadata.selected: expected true or false",
        ),
        (
            {"streams": [{"stream": "a", "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "maybe"}}]}]},
            r"metadata\[0\].metadata.inclusion: expected one of available, automatic, unsupported",
        ),
        (
            {"streams": [{"stream": "a", "schema": {"properties": {"b": {"selected": 1}}}}]},
            r"streams\[0\].schema.properties.b.selected: expected true or false",
        ),
    ],
)
def test_a_mistake_is_named_by_its_path(document: object, message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        Catalog.from_dict(document)


def test_an_error_says_which_stream() -> None:
    with pytest.raises(CatalogError) as caught:
        Catalog.from_dict({"streams": [{"tap_stream_id": "users", "schema": 1}]})
    assert caught.value.stream == "users"


def test_the_choice_of_the_user_wins_over_what_discovery_wrote() -> None:
    document = {
        "tap_stream_id": "users",
        "replication_method": "FULL_TABLE",
        "replication_key": "id",
        "metadata": [
            {
                "breadcrumb": [],
                "metadata": {
                    "replication-method": "INCREMENTAL",
                    "replication-key": "updated_at",
                    "view-key-properties": ["id"],
                },
            }
        ],
    }
    entry = CatalogEntry.from_dict(document)
    assert entry.chosen_replication_method == "INCREMENTAL"
    assert entry.chosen_replication_key == "updated_at"
    assert entry.chosen_key_properties == ["id"]
    silent = CatalogEntry("users")
    assert (silent.chosen_replication_method, silent.chosen_replication_key, silent.metadata) == (None, None, {})


def test_metadata_is_a_dict_with_attributes() -> None:
    facts = StreamMetadata({"x": 1}, inclusion="available", selected=None, table_key_properties=["id"])
    facts.replication_method = "FULL_TABLE"
    facts.selected_by_default = True
    facts.selected_by_default = None
    assert facts == {
        "x": 1,
        "inclusion": "available",
        "table-key-properties": ["id"],
        "replication-method": "FULL_TABLE",
    }
    assert facts.selected is None
    assert copy.deepcopy(Metadata(facts)) == facts


# -- selection


def test_without_a_catalog_everything_is_selected() -> None:
    assert selection_of(None, SCHEMA, automatic=["id"]) == Selection(stream_selected=True)


@pytest.mark.parametrize(
    ("facts", "is_selected"),
    [
        ({"selected": True}, True),
        ({"selected": "false"}, False),
        ({"selected": False, "selected-by-default": True}, False),
        ({"selected": True, "selected-by-default": False}, True),
        ({"selected": None, "selected-by-default": True}, True),
        ({"selected-by-default": False}, False),
        ({"inclusion": "available"}, False),
        ({"inclusion": "unsupported", "selected": True}, False),
    ],
)
def test_a_stream_is_selected_as_its_root_says(facts: dict, is_selected: bool) -> None:
    assert selected(((), facts)).stream_selected is is_selected


def test_a_stream_without_metadata_of_its_own_is_selected() -> None:
    assert selected().stream_selected
    assert selected((OWNER, {"selected": False})).stream_selected


@pytest.mark.parametrize(
    ("facts", "is_included"),
    [
        ({}, True),
        ({"selected": False}, False),
        ({"selected": "true", "selected-by-default": False}, True),
        ({"selected-by-default": False}, False),
        ({"inclusion": "automatic", "selected": False}, True),
        ({"inclusion": "unsupported", "selected": True}, False),
    ],
)
def test_a_property_is_included_as_its_metadata_says(facts: dict, is_included: bool) -> None:
    assert selected((OWNER, facts)).includes(OWNER) is is_included


def test_keys_are_included_whatever_the_catalog_says() -> None:
    chosen = selected((("properties", "id"), {"inclusion": "available", "selected": False}), automatic=("id",))
    assert chosen.includes(("properties", "id"))
    unsupported = selected((("properties", "id"), {"inclusion": "unsupported"}), automatic=("id",))
    assert not unsupported.includes(("properties", "id"))


def test_what_is_below_a_deselected_property_is_deselected() -> None:
    chosen = selected((OWNER, {"selected": False}), (MAIL, {"selected": True, "inclusion": "automatic"}))
    assert not chosen.includes(MAIL)


def test_nested_properties_are_chosen_one_by_one() -> None:
    chosen = selected((MAIL, {"selected": False}))
    assert chosen.includes(OWNER)
    assert chosen.includes((*OWNER, "properties", "name"))
    assert not chosen.includes(MAIL)


def test_selection_reaches_into_arrays_and_names_may_be_keywords() -> None:
    items = ("properties", "items", "items", "properties", "properties")
    chosen = Selection(excluded=frozenset({items}))
    assert not chosen.includes(items)
    assert not chosen.includes((*items, "properties", "deeper"))
    assert chosen.includes(("properties", "items", "items"))
    assert chosen.includes(("properties", "items"))


def test_properties_do_not_depend_on_the_stream_being_selected() -> None:
    chosen = selected(((), {"selected": False}))
    assert not chosen.includes(())
    assert chosen.includes(OWNER)


def test_a_choice_that_names_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    chosen = selected((("properties", "emial"), {"selected": False}), (("properties",), {"selected": False}))
    assert chosen.includes(OWNER)
    assert "no property at properties > emial" in caplog.text
    caplog.clear()
    nested = {"anyOf": [{"type": "array", "items": {"properties": {"x": True}}}, "null"]}
    entry = entry_with((("items", "properties", "x"), {"selected": False}), ((), {"selected": True}))
    selection_of(entry, nested)
    assert caplog.text == ""


def test_selecting_and_deselecting() -> None:
    catalog = Catalog.from_dict({"streams": [{"tap_stream_id": name, "schema": SCHEMA} for name in ("a", "b")]})
    deselect_all(catalog)
    set_selected(catalog, "b")
    set_selected(catalog, "b", False, OWNER)
    assert [selection_of(entry, SCHEMA).stream_selected for entry in catalog.streams] == [False, True]
    assert not selection_of(catalog["b"], SCHEMA).includes(OWNER)
    with pytest.raises(CatalogError, match="no stream 'c'; it has: a, b"):
        set_selected(catalog, "c")


# -- properties

names = st.sampled_from(["id", "a", "items", "properties", "selected"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
choices = st.sampled_from([True, False, None, "true", "FALSE"])
facts = st.fixed_dictionaries(
    {},
    optional={
        "selected": choices,
        "selected-by-default": choices,
        "inclusion": st.sampled_from(["available", "automatic", "unsupported", None]),
        "x-other": json_values,
    },
)
parts = st.recursive(
    facts,
    lambda inner: st.builds(
        lambda properties, more: {"type": "object", "properties": properties, **more},
        st.dictionaries(names, inner, max_size=3),
        facts,
    ),
    max_leaves=5,
)
entries = st.fixed_dictionaries(
    {"schema": parts},
    optional={
        "stream": st.text(min_size=1, max_size=3),
        "key_properties": st.none() | st.lists(names, max_size=2),
        "replication_method": st.sampled_from([None, "FULL_TABLE", "INCREMENTAL", "LOG_BASED"]),
        "replication_key": st.none() | names,
        "row_count": st.integers(min_value=0),
        "selected": choices,
        "x-ui": json_values,
        "metadata": st.none()
        | st.lists(st.builds(lambda path, said: {"breadcrumb": path, "metadata": said}, st.lists(names), facts)),
    },
)


@given(st.lists(entries, max_size=3), json_values)
def test_a_catalog_survives_the_round_trip(listed: list[dict], note: object) -> None:
    streams = [{"tap_stream_id": f"s{index}", **entry} for index, entry in enumerate(listed)]
    catalog = Catalog.from_dict({"streams": streams, "x-note": note})
    written = catalog.to_dict()
    again = Catalog.from_dict(json.loads(json.dumps(written)))
    assert again == catalog
    assert again.to_dict() == written
    assert again.extras == {"x-note": note}
