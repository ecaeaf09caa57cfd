"""SQLStream and SQLTap as authors know them: their hooks are called, and decide what is read."""

from __future__ import annotations

import json
from functools import cached_property

import pytest
import sqlalchemy
from engine_runs import Stop, within

from singerkit import SQLConnector, SQLStream, SQLTap
from singerkit.compat.overrides import SQL_STREAM_OVERRIDES, SQL_TAP_OVERRIDES
from singerkit.errors import ConfigurationError
from singerkit.protocol.writer import MessageWriter


@pytest.fixture
def source(place):
    place.execute(
        "CREATE TABLE SCHEMA.people (id integer PRIMARY KEY, name varchar(9), at integer)",
        *(f"INSERT INTO SCHEMA.people VALUES ({n}, 'n{n}', {10 - n})" for n in range(1, 6)),
        'CREATE TABLE SCHEMA."Order Items" (id integer PRIMARY KEY)',
    )
    return place


def tap_of(place, stream_class, connector_class=SQLConnector, members=(), catalog=None, state=None, **config):
    class Connector(connector_class):
        def get_schema_names(self, engine, inspected):
            return [name for name in super().get_schema_names(engine, inspected) if name == place.schema]

    stream = type("TableStream", (stream_class,), {"connector_class": Connector})
    members = {"name": "tap-own", "default_stream_class": stream, **dict(members)}
    return type("TapOwn", (SQLTap,), members)(config={**place.config, **config}, catalog=catalog, state=state)


def read(tap, stream="people"):
    output = bytearray()
    failure = within(20, lambda: tap._sync(MessageWriter(output.extend), Stop()))
    tap.tap_connector.close()
    if failure is not None:
        raise failure
    messages = [json.loads(line) for line in output.splitlines()]
    return [m["record"] for m in messages if m["type"] == "RECORD" and m["stream"].endswith(stream)]


def catalog_of(place, **metadata):
    tap = tap_of(place, SQLStream)
    catalog = tap.catalog_dict
    tap.tap_connector.close()
    for entry in catalog["streams"]:
        root = next(found for found in entry["metadata"] if found["breadcrumb"] == [])
        root["metadata"].update(metadata if entry["tap_stream_id"].endswith("people") else {"selected": False})
    return catalog


INCREMENTAL = {"replication-method": "INCREMENTAL", "replication-key": "at"}


def test_filters_and_limits_of_the_author_s_own(source):
    """In the shape of a tap that has both, and calls the usual ones."""

    class Own(SQLStream):
        def apply_query_limit(self, query):
            query = super().apply_query_limit(query)
            return query.limit(2) if "limited" in self.config else query

        def apply_query_filters(self, query, table, *, context=None):
            query = super().apply_query_filters(query, table, context=context)
            return query.where(table.columns["id"] != 5) if "name" in table.columns else query

    catalog = catalog_of(source, **INCREMENTAL)
    assert [r["id"] for r in read(tap_of(source, Own, catalog=catalog))] == [4, 3, 2, 1]
    assert [r["id"] for r in read(tap_of(source, Own, catalog=catalog, limited=True))] == [4, 3]


def test_a_query_of_the_author_s_own(source):
    class Own(SQLStream):
        def build_query(self, *, context=None):
            return super().build_query(context=context).order_by(sqlalchemy.desc("id")).limit(1)

    assert [r["id"] for r in read(tap_of(source, Own, catalog=catalog_of(source)))] == [5]


def test_rows_of_the_author_s_own(source):
    class Own(SQLStream):
        @property
        def connector(self):
            return super().connector

        def get_records(self, context):
            columns = list(self.get_selected_schema()["properties"])
            table = self.connector.get_table(self.fully_qualified_name, column_names=columns)
            with self.connector._connect() as connection:
                for row in connection.execute(table.select().order_by("id")).mappings():
                    yield {**row, "name": row["name"].upper()}

    assert [r["name"] for r in read(tap_of(source, Own, catalog=catalog_of(source)))] == [f"N{n}" for n in range(1, 6)]


def test_a_table_of_the_author_s_own(source):
    calls = []

    class Own(SQLConnector):
        def get_table(self, full_table_name, column_names=None):
            calls.append((full_table_name.table, list(column_names)))
            return super().get_table(full_table_name, column_names)

    assert len(read(tap_of(source, SQLStream, Own, catalog=catalog_of(source)))) == 5
    assert calls == [("people", ["id", "name", "at"])]


@pytest.mark.parametrize("first", [False, True])
def test_where_rows_without_a_key_stand(postgresql, first):
    class Own(SQLStream):
        supports_nulls_first = first

    postgresql.execute("CREATE TABLE SCHEMA.people (id integer PRIMARY KEY, at integer)")
    catalog = catalog_of(postgresql, **INCREMENTAL)
    tap = tap_of(postgresql, Own, catalog=catalog)
    assert ("NULLS FIRST" in str(tap.streams[f"{postgresql.schema}-people"].build_query())) is first
    tap.tap_connector.close()


def test_names_that_need_quotes(source):
    tap = tap_of(source, SQLStream)
    stream = next(stream for name, stream in tap.streams.items() if name.endswith("Order Items"))
    assert str(stream.fully_qualified_name).endswith('"Order Items"')
    assert stream._singer_catalog_entry.table_name == "Order Items"
    assert read(tap, "Order Items") == []


def test_a_class_s_keys_stand_where_the_catalog_says_none(source):
    class Log(SQLStream):
        replication_key = "at"

        @property
        def primary_keys(self):
            return ("name",)

    tap = tap_of(source, Log)
    stream = next(stream for name, stream in tap.streams.items() if name.endswith("people"))
    assert (stream.replication_key, stream.primary_keys) == ("at", ("name",))
    tap.tap_connector.close()


def test_a_limit_of_records_is_one_more_than_may_come(source):
    class Own(SQLStream):
        ABORT_AT_RECORD_COUNT = 3

    tap = tap_of(source, Own, catalog=catalog_of(source))
    stream = next(stream for name, stream in tap.streams.items() if name.endswith("people"))
    assert "LIMIT 4" in str(stream.build_query().compile(compile_kwargs={"literal_binds": True}))
    tap.tap_connector.close()


# The tap


def test_a_catalog_of_the_author_s_own(source):
    class Own(SQLConnector):
        pass

    def catalog_dict(self):
        if self._catalog_dict:
            return self._catalog_dict
        entries = self.tap_connector.discover_catalog_entries()
        self._catalog_dict = {"streams": [entry for entry in entries if entry["tap_stream_id"].endswith("people")]}
        return self._catalog_dict

    tap = tap_of(source, SQLStream, Own, members={"catalog_dict": property(catalog_dict)})
    assert [name.rpartition("-")[2] for name in tap.streams] == ["people"]
    assert len(read(tap)) == 5


@pytest.mark.parametrize("chosen", [False, True])
def test_streams_that_the_author_makes_from_the_catalog(source, chosen):
    class Fewer(SQLStream):
        @property
        def schema(self):
            return {"type": "object", "properties": {"id": {"type": "integer"}}}

    def discover_streams(self):
        entries = self.catalog_dict["streams"]
        return [Fewer(self, entry, connector=self.tap_connector) for entry in entries]

    catalog = catalog_of(source) if chosen else None
    tap = tap_of(source, SQLStream, members={"discover_streams": discover_streams}, catalog=catalog)
    assert {type(stream) for stream in tap.streams.values()} == {Fewer}
    assert [entry["tap_stream_id"] for entry in tap.catalog_dict["streams"]] == list(tap.streams)
    assert read(tap) == [{"id": number} for number in range(1, 6)]


def test_entries_of_the_author_s_own(source):
    class Own(SQLConnector):
        def discover_catalog_entries(self, *, exclude_schemas=(), reflect_indices=True):
            assert exclude_schemas == ("x",)
            return [entry for entry in super().discover_catalog_entries() if entry["tap_stream_id"].endswith("people")]

    tap = tap_of(source, SQLStream, Own, members={"exclude_schemas": ("x",)})
    assert len(tap.streams) == 1
    tap.tap_connector.close()


def test_schemas_are_left_out(postgresql):
    postgresql.execute("CREATE TABLE SCHEMA.people (id integer)")
    tap = tap_of(postgresql, SQLStream, members={"exclude_schemas": [postgresql.schema]})
    assert tap.streams == {}
    tap.tap_connector.close()


def test_a_connector_of_the_tap_s_own(source):
    made = []

    def tap_connector(self):
        made.append(self.default_stream_class.connector_class(dict(self.config)))
        return made[0]

    own = cached_property(tap_connector)
    own.__set_name__(SQLTap, "tap_connector")
    tap = tap_of(source, SQLStream, members={"tap_connector": own})
    assert {id(stream.connector) for stream in tap.streams.values()} == {id(made[0])}
    made[0].close()


@pytest.mark.parametrize("name", sorted(SQL_STREAM_OVERRIDES))
def test_what_no_stream_calls_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called"):
        type("Mine", (SQLStream,), {name: lambda self: None})


@pytest.mark.parametrize("name", sorted(SQL_TAP_OVERRIDES))
def test_what_no_tap_calls_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called"):
        type("Mine", (SQLTap,), {name: lambda self: None})
