"""SQLConnector as authors know it: what they override is called, what they call does what it says."""

from __future__ import annotations

import functools
from contextlib import contextmanager

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import types
from sqlalchemy.dialects import postgresql as pg

from singerkit.compat.overrides import SQL_CONNECTOR_OVERRIDES
from singerkit.errors import ConfigurationError, DataError, DiscoveryError, FatalSyncError, RetriableSyncError
from singerkit.sql.column_types import widest
from singerkit.sql.connector import FullyQualifiedName, JSONSchemaToSQL, SQLConnector, SQLToJSONSchema
from singerkit.sql.full_names import name_parts

SCHEMA = {"properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}}}


_OPEN: list[SQLConnector] = []


@pytest.fixture(autouse=True)
def closing():
    yield
    while _OPEN:
        _OPEN.pop().close()


def connect(place, connector_class=SQLConnector, **attributes):
    made = type("Connector", (connector_class,), attributes)(place.config)
    _OPEN.append(made)
    return made, made.get_fully_qualified_name("people", place.schema)


# Names


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1), st.text("ab\"'.%; ", min_size=1))
def test_a_quoted_name_is_taken_apart_again(table, schema):
    dialect = sqlalchemy.create_mock_engine("sqlite://", lambda *_: None).dialect
    name = FullyQualifiedName(table=table, schema=schema, dialect=dialect)
    assert name_parts(name) == (None, schema, table)
    text = name.prepare_part(schema) + "." + name.prepare_part(table)
    assert str(name) == text
    if text.startswith('"') and text.endswith('"'):
        assert name_parts(text) == (None, schema, table)


def test_names_of_each_form():
    assert str(FullyQualifiedName(table="t", schema="s", database="d")) == "d.s.t"
    assert FullyQualifiedName(table="t", schema="s", delimiter="-") == "s-t"
    assert name_parts("d.s.t") == ("d", "s", "t")
    assert name_parts('"s.1"."a""b"') == (None, "s.1", 'a"b')
    assert name_parts("t") == (None, None, "t")
    with pytest.raises(ValueError, match="needs a table"):
        FullyQualifiedName()


@pytest.mark.parametrize("name", ["select", 'a"; DROP TABLE x; --', "100%s", "a.b", "Ünï", "a:b"])
def test_no_name_becomes_sql(any_place, name):
    connector, _ = connect(any_place)
    table = connector.get_fully_qualified_name(name, any_place.schema)
    connector.create_empty_table(table, {"properties": {name: {"type": "integer"}}}, [name])
    assert connector.table_exists(table)
    connector.prepare_column(table, f"{name}2", types.BigInteger())
    assert list(connector.get_table_columns(table)) == [name, f"{name}2"]
    assert list(connector.get_table(table, column_names=[name]).columns.keys()) == [name]
    assert any_place.tables() == [name]


# Types


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": ["integer", "null"]}, "BIGINT"),
        ({"type": "number"}, "DOUBLE"),
        ({"type": "number", "multipleOf": 0.01}, "NUMERIC(38, 2)"),
        ({"type": ["integer", "number"]}, "DOUBLE"),
        ({"type": "string"}, "TEXT"),
        ({"type": "string", "format": "date-time"}, "TIMESTAMP"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": "string", "format": "time"}, "TEXT"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "TIMESTAMP"),
        ({"type": "boolean"}, "BOOLEAN"),
        ({"type": "object"}, "TEXT"),
        ({"type": ["array", "string"]}, "TEXT"),
        ({}, "TEXT"),
    ],
)
def test_the_type_of_a_column(schema, written):
    assert str(SQLConnector({}).to_sql_type(schema)).replace("DATETIME", "TIMESTAMP") == written


def test_types_are_registered_as_authors_do():
    class ToPostgres(JSONSchemaToSQL):
        def __init__(self, *args, interpret=False, **kwargs):
            super().__init__(*args, **kwargs)
            self.interpret = interpret

        def handle_raw_string(self, schema):
            if self.interpret and schema.get("contentEncoding") == "base16":
                return types.LargeBinary()
            return pg.TEXT()

        def handle_multiple_types(self, types):
            return pg.JSONB() if "object" in types else super().handle_multiple_types(types)

    class Connector(SQLConnector):
        @functools.cached_property
        def jsonschema_to_sql(self):
            made = ToPostgres(interpret=True, max_varchar_length=self.max_varchar_length)
            made.fallback_type = pg.TEXT
            made.register_type_handler("object", pg.JSONB)
            made.register_type_handler("integer", lambda schema: types.SmallInteger() if "maximum" in schema else None)
            made.register_format_handler("date-time", pg.TIMESTAMP(timezone=True))
            made.register_sql_datatype_handler("vector", types.NullType())
            return made

    of = Connector({}).to_sql_type
    assert isinstance(of({"type": ["object", "null"]}), pg.JSONB)
    assert isinstance(of({"type": ["string", "object"]}), pg.JSONB)
    assert isinstance(of({"type": "integer", "maximum": 10}), types.SmallInteger)
    assert isinstance(of({"type": "string", "format": "date-time"}), pg.TIMESTAMP)
    assert isinstance(of({"type": "string", "contentEncoding": "base16"}), types.LargeBinary)
    assert isinstance(of({"type": "array", "x-sql-datatype": "vector"}), types.NullType)
    assert isinstance(of({}), pg.TEXT)
    # Of a union it is the type of the only part that is more than null.
    assert isinstance(of({"anyOf": [{"type": "string"}, {"type": "null"}]}), pg.TEXT)
    assert isinstance(of({"oneOf": [{"type": "null"}, {"type": "integer", "maximum": 10}]}), types.SmallInteger)
    assert isinstance(of({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}), pg.TIMESTAMP)
    assert isinstance(of({"anyOf": [{"type": "string"}, {"type": "integer"}]}), pg.TEXT)


def test_an_author_asks_for_the_type_of_each_part_of_a_union():
    class Widest(JSONSchemaToSQL):
        def handle_multiple_types(self, types):
            parts = [self._get_type_from_schema({"type": name}) for name in types]
            return parts[-1]

    made = Widest()
    made.register_type_handler("integer", types.SmallInteger)
    assert isinstance(made.to_sql_type({"type": ["string", "integer"]}), types.SmallInteger)
    assert made._get_type_from_schema({"anyOf": [{"type": "integer"}]}) is None


def test_texts_have_a_length_where_the_author_says():
    class Connector(SQLConnector):
        max_varchar_length = 100

    lengths = [Connector({}).to_sql_type({"type": "string", **more}).length for more in ({}, {"maxLength": 7})]
    assert lengths == [100, 7]


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (types.Integer(), types.BigInteger(), "BIGINT"),
        (types.BigInteger(), types.Integer(), "BIGINT"),
        (types.BigInteger(), types.Text(), "TEXT"),
        (types.VARCHAR(10), types.VARCHAR(20), "VARCHAR(20)"),
        (types.VARCHAR(10), types.Text(), "TEXT"),
        (types.VARCHAR(10), types.Boolean(), "TEXT"),
        (types.Date(), types.DateTime(), "DATETIME"),
        (types.Numeric(38, 2), types.Integer(), "NUMERIC(38, 2)"),
        (types.Numeric(10, 2), types.Numeric(38, 18), "NUMERIC(38, 18)"),
        (types.Numeric(38, 2), types.Numeric(38, 18), "TEXT"),
        (types.Double(), types.BigInteger(), "TEXT"),
        (types.Boolean(), types.Integer(), "INTEGER"),
    ],
)
def test_the_type_that_holds_what_both_can(first, second, merged):
    assert str(widest([first, second])) == merged


def test_schemas_of_columns_as_authors_say_them():
    class FromPostgres(SQLToJSONSchema):
        def __init__(self, *, dates_as_string, **kwargs):
            super().__init__(**kwargs)
            self.dates_as_string = dates_as_string

        @classmethod
        def from_config(cls, config):
            return cls(dates_as_string=config["dates_as_string"])

        @functools.singledispatchmethod
        def to_jsonschema(self, column_type):
            return super().to_jsonschema(column_type)

        @to_jsonschema.register
        def hstore_to_jsonschema(self, column_type: pg.HSTORE):
            return {"type": ["object"]}

        @to_jsonschema.register
        def datetime_to_jsonschema(self, column_type: types.DateTime):
            return {"type": ["string"]} if self.dates_as_string else super().datetime_to_jsonschema(column_type)

    class Connector(SQLConnector):
        sql_to_jsonschema_converter = FromPostgres

    connector = Connector({"dates_as_string": True})
    assert connector.to_jsonschema_type(pg.HSTORE()) == {"type": ["object"]}
    assert connector.to_jsonschema_type(types.DateTime) == {"type": ["string"]}
    assert connector.to_jsonschema_type("VARCHAR(10)") == {"type": "string"}
    assert connector.to_jsonschema_type(types.Integer()) == {"type": "integer"}
    plain = Connector({"dates_as_string": False})
    assert plain.to_jsonschema_type(types.DateTime())["format"] == "date-time"


def test_numbers_become_texts_where_the_config_says_so():
    of = SQLConnector({"use_singer_decimal": True}).to_jsonschema_type
    assert of(types.Numeric(10, 2)) == {"type": "string", "format": "singer.decimal"}
    assert of(types.Double()) == {"type": "number"}


# Tables


def test_a_table_is_made_and_gets_what_it_lacks(any_place):
    connector, table = connect(any_place)
    connector.prepare_table(full_table_name=table, schema=SCHEMA, primary_keys=["id"], as_temp_table=False)
    more = {"properties": {**SCHEMA["properties"], "at": {"type": "string", "format": "date-time"}}}
    connector.prepare_table(full_table_name=table, schema=more, primary_keys=["id"], as_temp_table=False)
    assert list(connector.get_table_columns(table)) == ["id", "name", "at"]
    assert connector.column_exists(table, "at")
    connector.rename_column(table, "name", "called")
    assert not connector.column_exists(table, "name")
    assert str(connector.get_table(str(table)).name) == "people"


def test_what_the_author_forbids_is_an_error(place):
    connector, table = connect(place, allow_column_add=False, allow_column_rename=False, allow_temp_tables=False)
    connector.prepare_table(table, {"properties": {"id": {"type": "integer"}}}, ["id"])
    with pytest.raises(DataError, match="no column 'name', and allow_column_add"):
        connector.prepare_table(table, SCHEMA, ["id"])
    with pytest.raises(NotImplementedError):
        connector.rename_column(table, "id", "key")
    with pytest.raises(NotImplementedError):
        connector.create_empty_table(table, SCHEMA, as_temp_table=True)
    wide = {"properties": {"id": {"type": ["string", "integer"]}}}
    with pytest.raises(DataError, match=r"'id' \(BIGINT\) has to become TEXT"):
        connector.prepare_table(table, wide, ["id"])


def test_types_are_widened_where_the_author_allows_it(postgresql):
    connector, table = connect(postgresql, allow_column_alter=True)
    postgresql.execute('CREATE TABLE SCHEMA.people (id integer, name varchar(3) COLLATE "C")')
    connector.prepare_table(table, SCHEMA, ["id"])
    columns = connector.get_table_columns(table)
    assert [str(column.type) for column in columns.values()] == ["BIGINT", 'TEXT COLLATE "C"']


def test_the_hooks_of_a_table_are_called_in_their_shapes(postgresql):
    calls = []

    class Connector(SQLConnector):
        def create_empty_table(
            self, full_table_name, schema, primary_keys=None, partition_keys=None, as_temp_table=False
        ):
            calls.append(("create", full_table_name.table, list(schema["properties"]), list(primary_keys)))
            super().create_empty_table(full_table_name, schema, primary_keys, partition_keys, as_temp_table)

        def _create_empty_column(self, full_table_name, column_name, sql_type):
            calls.append(("column", column_name, str(sql_type)))
            super()._create_empty_column(full_table_name, column_name, sql_type)

        def get_column_add_ddl(self, table_name, column_name, column_type):
            calls.append(("add", str(table_name)))
            return sqlalchemy.DDL(
                "ALTER TABLE %(table_name)s ADD COLUMN %(create_column)s",
                {"table_name": table_name, "create_column": f"{column_name} {column_type}"},
            )

        def _adapt_column_type(self, full_table_name, column_name, sql_type):
            calls.append(("adapt", column_name))
            super()._adapt_column_type(full_table_name, column_name, sql_type)

        def merge_sql_types(self, sql_types):
            calls.append(("merge", len(sql_types)))
            return sql_types[0]

        def schema_exists(self, schema_name):
            return False

        def create_schema(self, schema_name):
            calls.append(("schema", schema_name))

    connector, table = connect(postgresql, Connector)
    connector.prepare_schema("raw")
    connector.prepare_table(table, {"properties": {"id": {"type": "integer"}}}, ["id"])
    connector.prepare_table(table, {"properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}, ["id"])
    assert calls == [
        ("schema", "raw"),
        ("create", "people", ["id"], ["id"]),
        ("adapt", "id"),
        ("merge", 2),
        ("column", "n", "BIGINT"),
        ("add", str(table)),
    ]


def test_schemas_are_made(postgresql):
    connector, _ = connect(postgresql)
    assert connector.schema_exists(postgresql.schema)
    connector.prepare_schema(postgresql.schema)
    made = f"{postgresql.schema}_more"
    connector.prepare_schema(made)
    assert connector.schema_exists(made)
    postgresql.execute(f"DROP SCHEMA {made}")


def test_a_table_takes_another_one_s_place(any_place):
    connector, table = connect(any_place)
    beside = connector.get_fully_qualified_name("beside", any_place.schema)
    for name, number in ((table, 1), (beside, 2)):
        connector.prepare_table(name, SCHEMA, ["id"])
        any_place.execute(f"INSERT INTO {name} VALUES ({number}, 'a')")
    connector.replace_table(table, beside)
    assert [row["id"] for row in any_place.rows()] == [2]
    connector.remove_table(table)
    connector.remove_table(table)
    assert any_place.tables() == []


def test_a_table_with_a_similar_name_stays(any_place):
    connector, table = connect(any_place)
    others = [connector.get_fully_qualified_name(f"people_{word}", any_place.schema) for word in ("replaced", "old")]
    beside = connector.get_fully_qualified_name("beside", any_place.schema)
    for name in (table, beside, *others):
        connector.prepare_table(name, SCHEMA, ["id"])
    connector.replace_table(table, beside)
    assert any_place.tables() == ["people", "people_old", "people_replaced"]


def test_rows_of_older_versions_go(place):
    connector, table = connect(place)
    connector.prepare_table(table, {"properties": {"id": {"type": "integer"}, "v": {"type": "integer"}}}, [])
    place.execute(f"INSERT INTO {table} VALUES (1, 5), (2, NULL), (3, 6), (4, 7)")
    connector.delete_old_versions(full_table_name=table, version_column_name="v", current_version=6)
    assert [row["id"] for row in place.rows()] == [3, 4]


# Connecting


def test_connections_are_the_author_s_own(sqlite):
    opened = []

    class Own(SQLConnector):
        def __init__(self, config):
            super().__init__(config, sqlalchemy_url=self.get_sqlalchemy_url(config))

        def get_sqlalchemy_url(self, config):
            return sqlalchemy.make_url(config["sqlalchemy_url"])

        def create_engine(self):
            opened.append("engine")
            return sqlalchemy.create_engine(self.sqlalchemy_url, echo=False)

        @contextmanager
        def _connect(self):
            with self._engine.connect().execution_options(stream_results=True) as connection:
                opened.append("connection")
                yield connection

    connector, table = connect(sqlite, Own)
    connector.prepare_table(table, SCHEMA, ["id"])
    assert connector.column_exists(table, "id")
    assert opened == ["engine", "connection"]
    assert connector._dialect.name == "sqlite"
    connector.close()


def test_an_older_way_to_open_a_connection_is_called(sqlite):
    opened = []

    class Own(SQLConnector):
        def create_sqlalchemy_connection(self):
            opened.append(1)
            return super().create_sqlalchemy_connection()

    connector, _ = connect(sqlite, Own)
    assert [row["one"] for rows in connector.rows(sqlalchemy.text("SELECT 1 AS one")) for row in rows] == [1]
    assert opened == [1]


def test_what_the_database_says_of_a_value_is_not_told(postgresql):
    connector, _ = connect(postgresql)
    with pytest.raises(DataError) as refused, connector._connect() as connection:
        connection.exec_driver_sql("SELECT 'can4ry'::integer")
    assert "can4ry" not in str(refused.value)
    with pytest.raises(FatalSyncError, match="nowhere"), connector._connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")


def test_a_connection_that_the_server_ends_is_something_that_may_pass(postgresql):
    connector, _ = connect(postgresql)
    with pytest.raises(RetriableSyncError), connector._connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_collation_is_taken_out_and_put_back():
    text = types.VARCHAR(10, collation="C")
    assert SQLConnector.remove_collation(text) == "C"
    assert text.collation is None
    SQLConnector.update_collation(text, "C")
    assert text.collation == "C"
    assert SQLConnector.remove_collation(types.Integer()) is None


# Discovery


@pytest.fixture
def source(postgresql):
    postgresql.execute(
        "CREATE TABLE SCHEMA.people (id integer PRIMARY KEY, name text)",
        "CREATE TABLE SCHEMA.orders (id integer NOT NULL UNIQUE)",
        "CREATE VIEW SCHEMA.names AS SELECT name FROM SCHEMA.people",
    )
    return postgresql


def ids(entries):
    return sorted(entry["tap_stream_id"].partition("-")[2] for entry in entries)


def own_schema(place):
    class Connector(SQLConnector):
        def get_schema_names(self, engine, inspected):
            return [name for name in super().get_schema_names(engine, inspected) if name == place.schema]

    return Connector


def test_one_entry_at_a_time_is_the_same_as_all_at_once(source):
    class OneByOne(own_schema(source)):
        def get_object_names(self, engine, inspected, schema_name):
            return super().get_object_names(engine, inspected, schema_name)

    together, _ = connect(source, own_schema(source))
    apart, _ = connect(source, OneByOne)
    by_id = {entry["tap_stream_id"]: entry for entry in apart.discover_catalog_entries()}
    assert by_id == {entry["tap_stream_id"]: entry for entry in together.discover_catalog_entries()}
    assert ids(by_id.values()) == ["names", "orders", "people"]


def test_authors_choose_and_change_entries(source):
    class Chosen(own_schema(source)):
        def get_object_names(self, engine, inspected, schema_name):
            found = super().get_object_names(engine, inspected, schema_name)
            return [(name, is_view) for name, is_view in found if not is_view]

        def discover_catalog_entry(self, engine, inspected, schema_name, table_name, is_view):
            entry = super().discover_catalog_entry(engine, inspected, schema_name, table_name, is_view)
            entry.replication_key = "id"
            return entry

    connector, _ = connect(source, Chosen)
    entries = connector.discover_catalog_entries()
    assert ids(entries) == ["orders", "people"]
    assert {entry["replication_key"] for entry in entries} == {"id"}


def test_schemas_are_left_out(source):
    connector, _ = connect(source, own_schema(source))
    assert connector.discover_catalog_entries(exclude_schemas=[source.schema]) == []


def test_a_database_that_is_not_there_is_a_discovery_error(tmp_path):
    with pytest.raises(DiscoveryError, match="can't ask"):
        SQLConnector({"sqlalchemy_url": f"sqlite:///{tmp_path}/none/x.sqlite"}).discover()


# Answers to the other names


@pytest.mark.parametrize("name", sorted(SQL_CONNECTOR_OVERRIDES))
def test_what_nothing_calls_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called"):
        type("Mine", (SQLConnector,), {name: lambda self: None})
