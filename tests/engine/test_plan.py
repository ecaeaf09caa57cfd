from __future__ import annotations

import logging

import pytest
from engine_runs import SCHEMA, stream

from singerkit.engine.plan import TapPlan, plan_tap
from singerkit.errors import CatalogError, ConfigurationError
from singerkit.protocol.catalog import Catalog
from singerkit.state.replication_key import NUMBER


def entry(
    name: str, *, selected: object = True, schema: dict = SCHEMA, root: dict | None = None, **members: dict
) -> dict:
    """Give a catalog entry; ``members`` is the metadata of properties."""
    metadata = [{"breadcrumb": [], "metadata": {"selected": selected, **(root or {})}}]
    metadata += [{"breadcrumb": ["properties", key], "metadata": value} for key, value in members.items()]
    return {"tap_stream_id": name, "stream": name, "schema": schema, "metadata": metadata}


def plan(*specs, catalog: list[dict] | None = None) -> TapPlan:
    return plan_tap(specs, Catalog.from_dict({"streams": catalog}) if catalog is not None else None)


def names(tap_plan: TapPlan) -> list[str]:
    return [found.spec.name for found in tap_plan.streams]


def test_without_a_catalog_everything_is_read() -> None:
    made = plan(stream("a", key="at"), stream("b", parent="a"), stream("hidden", selected_by_default=False))
    assert names(made) == ["a", "b"]
    assert [root.spec.name for root in made.roots] == ["a"]
    (a, b) = made.streams
    assert (a.replication_method, a.replication_key, a.key_type) == ("INCREMENTAL", "at", NUMBER)
    assert (b.replication_method, b.replication_key) == ("FULL_TABLE", None)
    assert a.key_properties == ("id",)


def test_with_a_catalog_only_what_it_selects_is_read() -> None:
    made = plan(stream("a"), stream("b"), stream("c"), catalog=[entry("a"), entry("b", selected=False)])
    assert names(made) == ["a"]


def test_parents_are_read_for_their_children_but_not_written() -> None:
    specs = stream("a"), stream("b", parent="a"), stream("c", parent="b")
    made = plan(*specs, catalog=[entry("a", selected=False), entry("c")])
    assert [(found.spec.name, found.selected, found.needed) for found in made.streams] == [
        ("a", False, True),
        ("b", False, True),
        ("c", True, True),
    ]
    assert names(plan(*specs, catalog=[entry("a")])) == ["a"]


def test_parents_come_before_children_whatever_the_order_of_declaration() -> None:
    specs = stream("c", parent="b"), stream("b", parent="a"), stream("a")
    assert names(plan(*specs)) == ["a", "b", "c"]


def test_properties_are_pruned_but_keys_stay() -> None:
    off = {"selected": False}
    made = plan(stream("a", key="at"), catalog=[entry("a", id=off, at=off, text=off)])
    assert set(made.streams[0].schema["properties"]) == {"id", "at", "parent"}


def test_the_catalog_overrides_method_and_key() -> None:
    (full,) = plan(stream("a", key="at"), catalog=[entry("a", root={"replication-method": "FULL_TABLE"})]).streams
    assert (full.replication_method, full.replication_key) == ("FULL_TABLE", None)
    root = {"replication-method": "INCREMENTAL", "replication-key": "id"}
    (by_id,) = plan(stream("a"), catalog=[entry("a", root=root)]).streams
    assert (by_id.replication_method, by_id.replication_key) == ("INCREMENTAL", "id")
    forced = stream("a", key="at", forced_replication_method="FULL_TABLE")
    assert plan(forced, catalog=[entry("a", root=root)]).streams[0].replication_method == "FULL_TABLE"


@pytest.mark.parametrize(
    ("root", "problem"),
    [
        ({"replication-method": "INCREMENTAL"}, "replication key"),
        ({"replication-method": "INCREMENTAL", "replication-key": "nothing"}, "'nothing'"),
        ({"table-key-properties": ["nothing"]}, "'nothing'"),
    ],
)
def test_what_is_not_possible_is_an_error_that_names_it(root: dict, problem: str) -> None:
    with pytest.raises(CatalogError, match=problem) as caught:
        plan(stream("a"), catalog=[entry("a", root=root)])
    assert caught.value.stream == "a"


def test_a_selected_stream_that_the_tap_lacks_is_an_error_one_that_is_not_selected_a_warning(caplog) -> None:
    with pytest.raises(CatalogError, match=r"'gone'.*it has: a"):
        plan(stream("a"), catalog=[entry("gone")])
    with caplog.at_level(logging.WARNING):
        plan(stream("a"), catalog=[entry("a"), entry("gone", selected=False)])
    assert "'gone'" in caplog.text


def test_a_parent_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="'nobody'"):
        plan(stream("a", parent="nobody"))


def test_streams_that_are_each_other_s_parents_are_an_error_not_nothing() -> None:
    with pytest.raises(ConfigurationError):
        plan(stream("a", parent="b"), stream("b", parent="a"), stream("c"))


def test_a_child_that_ignores_its_parent_s_replication_key_makes_the_parent_full() -> None:
    made = plan(stream("a", key="at"), stream("b", parent="a", ignore_parent_replication_key=True))
    assert made.streams[0].replication_method == "FULL_TABLE"


def test_a_context_s_members_are_shared_as_far_as_the_schema_has_them() -> None:
    (a,) = plan(stream("a")).streams
    assert a.shared_members({"parent": 1, "secret_token": "x"}) == {"parent": 1}
    assert a.shared_members(None) == {}
    (some,) = plan(stream("a", state_partitioning_keys=("parent",))).streams
    assert some.state_context({"parent": 1, "other": 2}) == {"parent": 1}
    assert some.state_context(None) is None
