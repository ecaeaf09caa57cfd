"""A table that lacks what comes: it is changed, or that is an error, or what it can't hold is dropped and counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from . import servers
from .conftest import record, schema, schema_of, state

NARROW = {"id": {"type": "integer"}, "n": {"type": ["integer", "null"]}}
WIDE = {"id": {"type": "integer"}, "n": {"type": ["string", "null"]}, "extra": {"type": ["string", "null"]}}


@pytest.fixture
def filled(database):
    database.load(schema(**NARROW), record(id=1, n=5))
    return database


def test_evolve_is_the_default(filled):
    filled.load(schema(**WIDE), record(id=2, n="text", extra="x"))
    first, second = filled.rows()
    assert (str(first["n"]), first["extra"], second["n"], second["extra"]) == ("5", None, "text", "x")


@pytest.mark.parametrize("properties", [WIDE, {**NARROW, "extra": {"type": "string"}}, {**NARROW, "n": WIDE["n"]}])
def test_freeze_ends_the_run_before_anything_changes(filled, properties):
    ended = filled.run(schema(**properties), record(id=2, n=None, extra="x"), state(1), on_schema_change="freeze")
    assert (ended.code, ended.states) == (1, [])
    assert "on_schema_change is 'freeze'" in ended.err
    assert [set(row) for row in filled.rows()] == [{"id", "n"}]


@pytest.mark.parametrize(
    "numbers",
    [
        ("-5.636199281614299e-227", "10093380138952323"),
        ("1e300", "0.12345678901234567890"),
        ("1e35", "0.12345678901234567890"),
        ("9" * 60, "0.25"),
        ("0.1", "9" * 30),
    ],
)
def test_numbers_that_are_stored_outlive_a_wider_type(database, numbers):
    lines = [
        f'{{"type": "RECORD", "stream": "people", "record": {{"id": {key}, "n": {number}}}}}\n'.encode()
        for key, number in enumerate(numbers)
    ]
    number_or_null = {"type": ["number", "null"]}
    for line in lines:
        database.load(schema(id={"type": "integer"}, n=number_or_null), line)
    stored = {int(row["id"]): row["n"] for row in database.rows()}
    assert [Decimal(str(stored[key])) for key in range(len(numbers))] == list(map(Decimal, numbers))


@pytest.mark.parametrize("large", [2**53 + 1, -(2**63), 2**63 - 1])
def test_integers_that_are_stored_outlive_a_schema_of_numbers(database, large):
    number = {"type": ["number", "null"]}
    database.load(schema(id={"type": "integer"}, n={"type": "integer"}), record(id=1, n=large))
    database.load(schema(id={"type": "integer"}, n=number), record(id=2, n=0.5), record(id=3, n=2**53 + 1))
    assert [Decimal(str(row["n"])) for row in database.rows()] == [large, Decimal("0.5"), 2**53 + 1]


def test_freeze_takes_what_fits(filled):
    filled.load(schema(**NARROW), record(id=2, n=6), on_schema_change="freeze")
    assert [row["n"] for row in filled.rows()] == [5, 6]


def test_freeze_refuses_a_value_that_is_too_large_for_its_column(filled):
    ended = filled.run(schema(**NARROW), record(id=2, n=10**30), state(1), on_schema_change="freeze")
    assert (ended.code, ended.states) == (1, [])
    assert "'n'" in ended.err
    assert "can't hold a value of type" in ended.err


def test_ignore_drops_what_the_table_can_not_hold_and_counts_it(filled):
    ended = filled.load(
        schema(**WIDE), record(id=2, n="text", extra="x"), record(id=3, n=None, extra=None), on_schema_change="ignore"
    )
    assert [(row["id"], row["n"]) for row in filled.rows()] == [(1, 5), (2, None), (3, None)]
    assert set(filled.rows()[0]) == {"id", "n"}
    assert "Dropped 1 values of 'extra'" in ended.err
    assert "Dropped 1 values of 'n'" in ended.err


def test_ignore_still_makes_a_table_that_is_not_there(database):
    database.load(schema(**WIDE), record(id=1, n="a", extra="x"), on_schema_change="ignore")
    assert [(row["n"], row["extra"]) for row in database.rows()] == [("a", "x")]


@pytest.mark.parametrize("policy", ["evolve", "freeze"])
def test_columns_that_refuse_null_take_it_under_evolve_only(database, policy):
    own = schema_of(database.folder)
    table = {"target-postgres": f"{own}.people", "target-mysql": f"{own}.people"}.get(database.name, "people")
    servers.execute(database.name, f"CREATE SCHEMA {own}") if "." in table else None
    servers.execute(
        database.name,
        f"CREATE TABLE {table} (id bigint NOT NULL PRIMARY KEY, n bigint NOT NULL, note varchar(9) NOT NULL)",
        f"INSERT INTO {table} VALUES (1, 5, 'kept')",
        folder=database.folder,
    )
    ended = database.run(schema(**NARROW), record(id=2, n=None), state(1), on_schema_change=policy)
    if policy == "freeze":
        assert (ended.code, ended.states) == (1, [])
        assert [row["n"] for row in database.rows()] == [5]
        return
    assert (ended.code, ended.states) == (0, [1]), ended.err
    assert [(row["n"], row["note"]) for row in database.rows()] == [(5, "kept"), (None, None)]
