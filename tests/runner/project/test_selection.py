import copy
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import CatalogError
from singerkit.protocol.catalog import Catalog, discovered_metadata, selection_of
from singerkit.runner.project.selection import apply_rules, catalog_rules

TEXT = {"type": "string"}


def nested(**properties):
    return {"type": "object", "properties": properties}


def catalog_of(**schemas):
    """Give a catalog as a tap discovers it: `id` is a key of every stream that has one."""
    return {
        "streams": [
            {
                "tap_stream_id": name,
                "schema": schema,
                "metadata": discovered_metadata(schema, key_properties=["id"]).to_list(),
            }
            for name, schema in schemas.items()
        ]
    }


CATALOG = catalog_of(
    orders=nested(id=TEXT, note=TEXT, total=TEXT, buyer=nested(name=TEXT, mail=TEXT, place=nested(town=TEXT, id=TEXT))),
    order_lines=nested(id=TEXT, order_id=TEXT, tags={"type": "array", "items": nested(key=TEXT, value=TEXT)}),
    **{"shop.users": nested(id=TEXT, **{"mail.home": TEXT, "mail": nested(home=TEXT)})},
)


def properties(entry):
    return [path for path in entry.metadata if path]


def selected(catalog):
    """Give what a tap reads of a catalog: the names of properties by stream."""
    found = {}
    for entry in Catalog.from_dict(catalog).values():
        selection = selection_of(entry, entry.schema)
        if selection.stream_selected:
            paths = [path for path in properties(entry) if selection.includes(path)]
            found[entry.tap_stream_id] = {
                ">".join(p for p in path if p not in ("properties", "items")) for path in paths
            }
    return found


ORDERS = {
    "id",
    "note",
    "total",
    "buyer",
    "buyer>name",
    "buyer>mail",
    "buyer>place",
    "buyer>place>town",
    "buyer>place>id",
}
LINES = {"id", "order_id", "tags", "tags>key", "tags>value"}
USERS = {"id", "mail.home", "mail", "mail>home"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["*"], {"orders": ORDERS, "order_lines": LINES, "shop.users": USERS}),
        (["*.*"], {"orders": ORDERS, "order_lines": LINES, "shop.users": USERS}),
        (["orders"], {"orders": ORDERS}),
        (["orders.*"], {"orders": ORDERS}),
        (["order*.id"], {"orders": {"id"}, "order_lines": {"id"}}),
        (["*.note"], {"orders": {"id", "note"}, "order_lines": {"id"}, "shop.users": {"id"}}),
        (["orders.*", "!orders.note"], {"orders": ORDERS - {"note"}}),
        (["!orders.note", "orders.*"], {"orders": ORDERS - {"note"}}),
        (["orders.no?e"], {"orders": {"id", "note"}}),
        (["orders.[nt]o*"], {"orders": {"id", "note", "total"}}),
        (["!order*"], {"shop.users": USERS}),
        (["*.*", "!order_lines.*", "!shop\\.users"], {"orders": ORDERS}),
        (["orders.buyer"], {"orders": {"id", *(name for name in ORDERS if name.startswith("buyer"))}}),
        (["orders.buyer.mail"], {"orders": {"id", "buyer", "buyer>mail"}}),
        (["orders.buyer.place.*"], {"orders": {"id"} | {n for n in ORDERS if "place" in n} | {"buyer"}}),
        (["orders.*.town"], {"orders": {"id", "buyer", "buyer>place", "buyer>place>town"}}),
        (["orders", "!orders.buyer.*"], {"orders": {"id", "note", "total", "buyer"}}),
        (["orders", "!orders.buyer"], {"orders": {"id", "note", "total"}}),
        (["order_lines.tags.key"], {"order_lines": {"id", "tags", "tags>key"}}),
        (["shop\\.users.mail\\.home"], {"shop.users": {"id", "mail.home"}}),
        (["shop\\.users.mail.home"], {"shop.users": {"id", "mail", "mail>home"}}),
        (["nothing"], {}),
    ],
)
def test_rules_select(rules, expected):
    assert selected(apply_rules(CATALOG, rules)[0]) == expected


def test_a_property_whose_members_are_not_declared_is_taken_with_a_remark():
    catalog, remarks = apply_rules(catalog_of(s=nested(id=TEXT, a={"type": "object"})), ["s.a.b"])
    assert selected(catalog) == {"s": {"id", "a"}}
    assert remarks == ["select: 's.a.b' matches nothing; the stream 's' has no such property"]


@pytest.mark.parametrize(
    ("rules", "remark"),
    [
        (["order.*"], "select: 'order.*' matches nothing; the tap has: orders, order_lines, shop.users"),
        (["*", "!orders.nte"], "select: '!orders.nte' matches nothing; the stream 'orders' has no such property"),
        (["*", "!orders.id"], "select: '!orders.id' does not leave out orders.id: the tap always includes that"),
    ],
)
def test_a_rule_that_does_nothing_is_reported(rules, remark, caplog):
    assert apply_rules(CATALOG, rules)[1] == [remark]
    with caplog.at_level(logging.WARNING):
        catalog_rules(rules, {}, {})(CATALOG)
    assert remark in caplog.messages


def test_where_everything_matches_there_is_nothing_to_report():
    assert apply_rules(CATALOG, ["*.*", "!*.note", "!*.id"])[1] == []


def test_automatic_stays_in_and_unsupported_out():
    catalog = copy.deepcopy(CATALOG)
    for element in catalog["streams"][0]["metadata"]:
        if element["breadcrumb"] == ["properties", "total"]:
            element["metadata"]["inclusion"] = "unsupported"
    changed, _ = apply_rules(catalog, ["orders.total", "!orders.id"])
    assert selected(changed) == {"orders": {"id"}}


def test_older_catalogs_without_metadata_are_selected_where_they_look_for_it():
    catalog, _ = apply_rules({"streams": [{"stream": "s", "schema": nested(a=TEXT, b=TEXT)}]}, ["s.a"])
    (stream,) = catalog["streams"]
    assert stream["selected"] is True
    assert selected(catalog) == {"s": {"a"}}


def test_what_the_rules_do_not_speak_of_stays_as_it_was_discovered():
    catalog = {"streams": [{"tap_stream_id": "s", "schema": nested(a=TEXT), "x": [1]}], "y": {"z": None}}
    before = copy.deepcopy(catalog)
    changed, _ = apply_rules(catalog, ["*"])
    assert catalog == before
    assert changed["y"] == {"z": None}
    assert changed["streams"][0]["x"] == [1]
    assert catalog_rules([], {}, {}) is None


def test_streams_restrict_what_is_selected():
    changed, remarks = apply_rules(CATALOG, ["*", "!orders.note"], streams=["order*", "!order_lines", "x"])
    assert selected(changed) == {"orders": ORDERS - {"note"}}
    assert remarks == ["streams: 'x' matches no stream; the tap has: orders, order_lines, shop.users"]
    assert set(selected(apply_rules(CATALOG, ["*"], streams=["!order*"])[0])) == {"shop.users"}


def facts(catalog, stream, *path):
    return Catalog.from_dict(catalog)[stream].metadata[path]


def test_metadata_is_set_by_stream_and_by_property():
    rules = {
        "order*": {"replication-method": "INCREMENTAL", "note": {"sql-datatype": "text"}},
        "orders": {"replication-key": "total", "buyer": {"mail": {"secret": True}}},
        "order_lines": {"nope": {"x": 1}},
        "gone": {"x": 1},
    }
    catalog, remarks = apply_rules(CATALOG, metadata=rules)
    assert facts(catalog, "order_lines")["replication-method"] == "INCREMENTAL"
    assert facts(catalog, "orders")["replication-key"] == "total"
    assert catalog["streams"][0]["replication_key"] == "total"  # where old taps look for it
    assert facts(catalog, "orders", "properties", "note")["sql-datatype"] == "text"
    assert facts(catalog, "orders", "properties", "buyer", "properties", "mail")["secret"] is True
    assert remarks == [
        "metadata.order_lines.nope matches no property",
        "metadata.gone matches no stream; the tap has: orders, order_lines, shop.users",
    ]


def test_metadata_wins_over_selection():
    catalog, _ = apply_rules(CATALOG, ["orders.*"], {"orders": {"note": {"selected": False}}})
    assert selected(catalog) == {"orders": ORDERS - {"note"}}


def test_schemas_are_replaced_and_added_and_can_be_selected():
    number = {"type": ["number", "null"]}
    rules = {"orders": {"total": number, "extra": TEXT, "b*": {"type": "object"}, "z*": TEXT}, "gone": {"x": TEXT}}
    catalog, remarks = apply_rules(CATALOG, ["orders.extra", "orders.total"], schema=rules)
    schema = catalog["streams"][0]["schema"]["properties"]
    assert (schema["total"], schema["extra"], schema["buyer"]) == (number, TEXT, {"type": "object"})
    assert selected(catalog) == {"orders": {"id", "extra", "total"}}
    assert remarks == [
        "schema.orders.z* matches no property",
        "schema.gone matches no stream; the tap has: orders, order_lines, shop.users",
    ]


@pytest.mark.parametrize("catalog", [{}, {"streams": {}}, {"streams": [{}]}, {"streams": [3]}])
def test_what_is_no_catalog_is_an_error(catalog):
    with pytest.raises(CatalogError, match="that the tap discovered"):
        apply_rules(catalog, ["*"])


NAMES = st.sampled_from(["a", "b", "ab", "a.b", "id"])
SCHEMAS = st.recursive(
    st.just(TEXT),
    lambda parts: st.dictionaries(NAMES, parts, min_size=1, max_size=3).map(lambda members: nested(**members)),
    max_leaves=6,
).filter(lambda schema: "properties" in schema)
CATALOGS = st.dictionaries(st.sampled_from(["s", "t", "s.t"]), SCHEMAS, min_size=1).map(lambda all: catalog_of(**all))
PARTS = st.sampled_from(["*", "a", "b", "a*", "?", "[ab]", "a\\.b", "id", "s", "s\\.t"])
RULES = st.lists(st.lists(PARTS, min_size=1, max_size=3).map(".".join), max_size=3)


@given(CATALOGS, RULES.filter(bool), RULES)
def test_rules_hold_for_any_catalog(catalog, taking, leaving):
    rules = [*taking, *(f"!{rule}" for rule in leaving)]
    changed, _ = apply_rules(catalog, rules)
    found = selected(changed)
    assert apply_rules(changed, rules)[0] == changed, "applied again, they change nothing"
    assert selected(apply_rules(catalog, rules[::-1])[0]) == found, "their order does not matter"
    everything = selected(apply_rules(catalog, ["*"])[0])
    for stream, names in found.items():
        assert names <= everything[stream]
        assert {name for name in everything[stream] if name == "id"} <= names, "keys stay"
    fewer = selected(apply_rules(catalog, [*rules, "!*.a"])[0])
    assert all(names <= found[stream] for stream, names in fewer.items()), "leaving out never adds"
    more = selected(apply_rules(catalog, [*rules, "s.b"])[0])
    assert all(names <= more.get(stream, set()) for stream, names in found.items()), "taking never removes"


@given(CATALOGS, RULES.filter(bool))
def test_a_rule_that_selects_nothing_is_remarked_upon(catalog, taking):
    _, remarks = apply_rules(catalog, taking)
    for rule in set(taking):
        alone = selected(apply_rules(catalog, [rule])[0])
        if not alone:
            assert any(f"'{rule}'" in remark for remark in remarks)
