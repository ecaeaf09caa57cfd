"""SQLSink as authors know it: what they override is called in the known shapes, and what they don't stores as ever."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from uuid import uuid4

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit import SQLConnector, SQLSink, SQLTarget, Target
from singerkit import typing as th
from singerkit.compat.overrides import SQL_SINK_OVERRIDES, SQL_TARGET_OVERRIDES
from singerkit.errors import ConfigurationError, DataError
from singerkit.sinks.direct_loading import DirectLoading
from singerkit.sinks.hook_loading import HookLoading
from singerkit.sql.dialects.any_sql import AnySQL
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE

SETTINGS = th.PropertiesList(
    th.Property("sqlalchemy_url", th.StringType),
    th.Property("default_target_schema", th.StringType),
    LOAD_METHOD,
    ON_SCHEMA_CHANGE,
).to_dict()
PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["string", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "more": {"type": ["object", "null"]},
}
VERSIONED = {
    **PROPERTIES,
    "_sdc_table_version": {"type": ["integer", "null"]},
    "_sdc_deleted_at": {"type": ["string", "null"], "format": "date-time"},
}


class Connector(SQLConnector):
    """The least that makes a sink load through its hooks."""

    def to_sql_type(self, jsonschema_type):
        return super().to_sql_type(jsonschema_type)


class HookSink(SQLSink[Connector]):
    connector_class = Connector


_OPEN: list[SQLConnector] = []


@pytest.fixture(autouse=True)
def closing():
    yield
    while _OPEN:
        _OPEN.pop().close()


def target_of(place, sink_class=HookSink, base=SQLTarget, members=(), **config):
    attributes = {"name": "target-own", "default_sink_class": sink_class, "config_jsonschema": SETTINGS}
    target = type("TargetOwn", (base,), {**attributes, **dict(members)})(config={**place.config, **config})
    if isinstance(target, SQLTarget):
        _OPEN.append(target.target_connector)
    return target


def open_sink(target, stream="people", properties=PROPERTIES, keys=("id",)):
    sink = target.get_sink(stream, schema={"type": "object", "properties": properties}, key_properties=list(keys))
    sink.setup()
    return sink


def load(place, *batches, sink_class=HookSink, stream="people", properties=PROPERTIES, keys=("id",), **config):
    """Store batches, and publish as the engine does at the end."""
    target = target_of(place, sink_class, **config)
    sink = open_sink(target, stream, properties, keys)
    for batch in batches:
        sink.process(batch)
    sink.clean_up()
    if target.publisher is not None:
        target.publisher()
    if isinstance(target, SQLTarget):
        target._close()
    return sink


def record(number, name="a", **values):
    return {"id": number, "name": name, "at": None, "more": None, **values}


def names(place, **how):
    return [(row["id"], row["name"]) for row in place.rows(**how)]


# Which way


def test_without_hooks_the_target_s_database_stores(place):
    class Plain(SQLConnector):
        allow_column_alter = True
        allow_merge_upsert = False

        def get_sqlalchemy_url(self, config):
            return super().get_sqlalchemy_url(config)

        def create_engine(self):
            return super().create_engine()

    class PlainSink(SQLSink):
        connector_class = Plain

    assert isinstance(target_of(place, PlainSink).get_sink("s", schema={}, key_properties=[])._loading, DirectLoading)
    assert isinstance(target_of(place).get_sink("s", schema={}, key_properties=[])._loading, HookLoading)


def test_hooks_beside_a_dialect_are_refused(sqlite):
    def open_dialect(self):
        return AnySQL(self.target_connector)

    target = target_of(sqlite, members={"open_dialect": open_dialect})
    with pytest.raises(ConfigurationError, match=r"Connector\.to_sql_type would never be called: TargetOwn says"):
        open_sink(target)


@pytest.mark.parametrize("name", sorted(SQL_SINK_OVERRIDES))
def test_what_no_sink_calls_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called"):
        type("Mine", (SQLSink,), {name: lambda self: None})


@pytest.mark.parametrize("name", sorted(SQL_TARGET_OVERRIDES))
def test_what_no_target_calls_is_refused(name):
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called"):
        type("Mine", (SQLTarget,), {name: lambda self: None})


# What is stored


def test_rows_are_replaced_by_key_and_the_last_one_wins(any_place):
    load(any_place, [record(1), record(2), record(1, "b")], [record(2, "c"), record(3)], load_method="upsert")
    assert names(any_place) == [(1, "b"), (2, "c"), (3, "a")]
    assert any_place.tables() == ["people"]


def test_values_come_back(place):
    from datetime import UTC, datetime, timedelta, timezone

    at = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    load(place, [record(2**63 - 1, "ü\N{GRINNING FACE}", at=at, more={"a": [1, None]})])
    (row,) = place.rows()
    assert (row["id"], row["name"], json.loads(row["more"])) == (2**63 - 1, "ü\N{GRINNING FACE}", {"a": [1, None]})
    stored = row["at"] if row["at"].tzinfo else row["at"].replace(tzinfo=UTC)
    assert stored == at


def test_a_value_that_does_not_fit_is_an_error_without_it(place):
    target = target_of(place)
    sink = open_sink(target, properties={**PROPERTIES, "n": {"type": "integer"}})
    with pytest.raises(DataError) as refused:
        sink.process([record(1, n=2**80)])
    assert str(2**80) not in str(refused.value)
    assert place.rows() == []


def test_append_only_appends_and_no_keys_too(place):
    load(place, [record(1), record(1)], load_method="append-only")
    load(place, [record(1, "b")], load_method="append-only")
    assert len(place.rows()) == 3
    load(place, [record(1), record(1)], stream="keyless", keys=())
    assert len(place.rows("keyless")) == 2


def test_a_key_of_its_own_type_merges_by_value(place):
    properties = {"id": {"type": ["integer", "string"]}, "name": {"type": "string"}}
    load(place, [{"id": 1, "name": "a"}, {"id": "x", "name": "b"}, {"id": 1, "name": "c"}], properties=properties)
    assert names(place) == [("1", "c"), ("x", "b")]


def test_a_key_of_texts_is_the_same_column_in_every_run(place):
    properties = {"id": {"type": "string"}, "name": {"type": "string"}}
    load(place, [{"id": "a", "name": "1"}, {"id": "b", "name": "1"}], properties=properties)
    load(place, [{"id": "b", "name": "2"}], properties=properties)
    load(place, [{"id": "c", "name": "3"}], properties=properties, load_method="append-only")
    assert names(place) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_a_table_is_looked_at_once_and_after_each_change(place):
    asked = []

    def note(connection, cursor, statement, *others):
        asked.append(statement)

    class Noted(HookSink):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            sqlalchemy.event.listen(self.connector.engine, "before_cursor_execute", note)

    columns = {f"c{number}": {"type": ["string", "null"]} for number in range(30)}
    load(place, [{"id": 1}], properties={"id": {"type": "integer"}, **columns})
    counts = []
    for more in ({}, {"x": {"type": "string"}}, {"y": {"type": "string"}, "z": {"type": "string"}}):
        columns |= more
        asked.clear()
        load(
            place,
            [{"id": 1, **dict.fromkeys(more, "new")}],
            sink_class=Noted,
            properties={"id": PROPERTIES["id"], **columns},
        )
        counts.append(len(asked))
    assert counts[0] < len(columns)
    assert counts[1] == counts[0] + 1
    assert counts[2] <= counts[0] + 2 * 2, "for each column the change, and a look at what it has made"
    assert [place.rows()[0][name] for name in "xyz"] == [None, "new", "new"]


def test_a_key_that_gets_longer_tells_more_rows_apart(place):
    load(place, [record(1), record(2)], sink_class=SQLSink, load_method="upsert")
    longer = {"sink_class": SQLSink, "keys": ("id", "name"), "load_method": "upsert"}
    load(place, [record(1, "b")], **longer)
    load(place, [record(1, "b"), record(2)], **longer)
    assert sorted(names(place)) == [(1, "a"), (1, "b"), (2, "a")]
    assert place.tables() == ["people"]


def test_a_key_that_gets_longer_is_changed_where_the_author_allows_it(postgresql):
    class Altering(HookSink):
        connector_class = type("Altering", (Connector,), {"allow_column_alter": True})

    load(postgresql, [record(1), record(2)])
    for _ in range(2):
        load(postgresql, [record(1, "b"), record(2)], keys=("id", "name"), sink_class=Altering)
    assert sorted(names(postgresql)) == [(1, "a"), (1, "b"), (2, "a")]
    load(postgresql, [record(1, "c")])
    assert sorted(names(postgresql)) == [(1, "c"), (1, "c"), (2, "a")]


def test_a_key_that_gets_longer_is_refused_before_a_row_is(place):
    load(place, [record(1)])
    with pytest.raises(DataError, match=r"the table \(id\) .* the stream \(id, name\).* change it yourself"):
        load(place, [record(1, "b")], keys=("id", "name"))
    load(place, [record(2)], stream="others", keys=("id", "name"))
    load(place, [record(2, "b")], stream="others")
    assert (names(place), [row["name"] for row in place.rows("others")]) == ([(1, "a")], ["b"])


def test_a_key_is_not_changed_by_a_copy_that_would_lose_an_index(sqlite):
    load(sqlite, [record(1)], sink_class=SQLSink, load_method="upsert")
    sqlite.execute("CREATE INDEX by_name ON people (name)")
    with pytest.raises(DataError, match="lose an index"):
        load(sqlite, [record(1, "b")], sink_class=SQLSink, keys=("id", "name"), load_method="upsert")
    assert names(sqlite) == [(1, "a")]


def test_columns_come_with_the_schema(place):
    load(place, [record(1)])
    load(place, [record(2, n=5)], properties={**PROPERTIES, "n": {"type": "integer"}})
    assert [row["n"] for row in place.rows()] == [None, 5]


def test_a_schema_change_under_freeze_is_an_error_and_under_ignore_drops(place, caplog):
    load(place, [record(1)])
    more = {**PROPERTIES, "n": {"type": "integer"}}
    with pytest.raises(DataError, match="no column for the property 'n', and on_schema_change is 'freeze'"):
        load(place, [], properties=more, on_schema_change="freeze")
    load(place, [record(2, n=5), record(3, n=None)], properties=more, on_schema_change="ignore")
    assert names(place) == [(1, "a"), (2, "a"), (3, "a")]
    assert "Dropped 1 values of 'n'" in caplog.text


def test_overwrite_replaces_at_the_end(any_place):
    load(any_place, [record(1)])
    target = target_of(any_place, load_method="overwrite")
    sink = open_sink(target)
    sink.process([record(2), record(3), record(2, "b")])
    assert names(any_place) == [(1, "a")]
    changed = open_sink(target, properties={**PROPERTIES, "n": {"type": "integer"}})
    changed.process([record(4, n=1)])
    target.publisher()
    assert names(any_place) == [(2, "b"), (3, "a"), (4, "a")]
    assert any_place.tables() == ["people"]


def test_overwrite_is_refused_where_the_author_names_the_table(sqlite):
    class Named(HookSink):
        table_name = "fixed"

    with pytest.raises(ConfigurationError, match="'overwrite' is not possible"):
        load(sqlite, [], sink_class=Named, load_method="overwrite")


@pytest.mark.parametrize("hard", [False, True])
def test_versions(place, hard):
    old = {"_sdc_table_version": 1, "_sdc_deleted_at": None}
    target = target_of(place, hard_delete=hard)
    sink = open_sink(target, properties=VERSIONED)
    sink.process([record(1, **old), record(2, **{**old, "_sdc_table_version": None})])
    sink.process([record(3, **{**old, "_sdc_table_version": 2})])
    sink.activate_version(2)
    left = [row["id"] for row in place.rows() if row["_sdc_deleted_at"] is None]
    assert left == [3]
    assert len(place.rows()) == (1 if hard else 3)


def test_rows_marked_as_deleted_go_where_the_user_says_so(place):
    deleted = {"_sdc_table_version": None, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}
    from datetime import UTC, datetime

    deleted["_sdc_deleted_at"] = datetime(2024, 1, 1, tzinfo=UTC)
    alive = {"_sdc_table_version": None, "_sdc_deleted_at": None}
    target = target_of(place, hard_delete=True)
    open_sink(target, properties=VERSIONED).process([record(1, **alive), record(2, **deleted)])
    assert [row["id"] for row in place.rows()] == [1]


def test_two_streams_never_share_a_table(sqlite):
    class Same(HookSink):
        def conform_name(self, name, object_type=None):
            return re.sub("[^a-z]", "", name)

    target = target_of(sqlite, Same)
    open_sink(target, "people")
    with pytest.raises(ConfigurationError, match="'people' and 'people!' have the same table"):
        open_sink(target, "people!")


# What authors override


class BulkSink(SQLSink):
    """In the shape of most: rows go by a path of the author's own."""

    calls: list

    @property
    def schema_name(self):
        return self.config.get("default_target_schema")

    def conform_name(self, name, object_type=None):
        return super().conform_name(re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), object_type)

    def bulk_insert_records(self, full_table_name, schema, records):
        self.calls.append((str(full_table_name), list(schema["properties"]), len(records)))
        conformed = [self.conform_record(record) for record in records]
        with self.connector._connect() as connection, connection.begin():
            statement = self.generate_insert_statement(full_table_name, schema)
            connection.execute(sqlalchemy.text(str(statement)), conformed)
        return len(records)

    def generate_insert_statement(self, full_table_name, schema):
        columns = list(self.conform_schema(schema)["properties"])
        marks = ", ".join(f":{name}" for name in columns)
        return f"INSERT INTO {full_table_name} ({', '.join(columns)}) VALUES ({marks})"


def test_an_author_s_bulk_path_gets_every_record(place):
    sink_class = type("Sink", (BulkSink,), {"calls": []})
    properties = {"id": {"type": "integer"}, "firstName": {"type": "string"}}
    batch = [{"id": 1, "firstName": "a"}, {"id": 2, "firstName": "b"}]
    sink = load(place, batch, sink_class=sink_class, properties=properties)
    assert sink_class.calls == [(str(sink.full_table_name), ["id", "firstName"], 2)]
    assert [(row["id"], row["first_name"]) for row in place.rows()] == [(1, "a"), (2, "b")]
    assert sink.key_properties == ["id"]
    with pytest.raises(DataError, match="refuses a row"):
        load(place, [batch[0]], sink_class=sink_class, properties=properties)


def test_an_author_s_bulk_path_fills_the_new_table_too(any_place):
    sink_class = type("Sink", (BulkSink,), {"calls": [], "schema_name": SQLSink.schema_name})
    properties = {"id": {"type": "integer"}}
    load(any_place, [{"id": 1}], sink_class=sink_class, properties=properties)
    load(any_place, [{"id": 2}], sink_class=sink_class, properties=properties, load_method="overwrite")
    assert [row["id"] for row in any_place.rows()] == [2]
    assert "new_people" in sink_class.calls[1][0]


def test_a_statement_of_the_author_s_own_is_used(place):
    class OwnStatement(SQLSink):
        def generate_insert_statement(self, full_table_name, schema):
            return f"INSERT INTO {full_table_name} (id, name) VALUES (:id, upper(:name))"

    load(place, [record(1, "a")], sink_class=OwnStatement)
    assert names(place) == [(1, "A")]


def test_a_merge_of_the_author_s_own_gets_both_tables_and_the_keys(place):
    calls = []

    class Merging(SQLSink):
        def merge_upsert_from_table(self, target_table_name, from_table_name, join_keys):
            calls.append((target_table_name.table, join_keys))
            with self.connector._connect() as connection, connection.begin():
                connection.exec_driver_sql(f"INSERT INTO {target_table_name} SELECT * FROM {from_table_name}")

    load(place, [record(1), record(1, "b")], sink_class=Merging)
    assert calls == [("people", ["id"])]
    assert names(place) == [(1, "b")]
    assert place.tables() == ["people"]


def test_a_batch_of_the_author_s_own(place):
    """In the shape of a sink that makes a table of its own, fills it and merges by itself."""

    class Own(SQLSink):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.incoming = f"incoming_{uuid4().hex}"

        @property
        def connector(self):
            return super().connector

        def setup(self):
            if self.schema_name:
                self.connector.prepare_schema(self.schema_name)
            self.connector.prepare_table(
                full_table_name=self.full_table_name, schema=self.schema, primary_keys=self.key_properties
            )

        def process_batch(self, context):
            staged = self.connector.get_fully_qualified_name(self.incoming, self.schema_name)
            self.connector.create_empty_table(staged, self.schema, self.key_properties)
            self.bulk_insert_records(full_table_name=staged, schema=self.schema, records=context["records"])
            self.merge_upsert_from_table(self.full_table_name, staged, list(self.key_properties))
            self.connector.remove_table(staged)

    load(place, [record(1), record(2)], [record(2, "b")], sink_class=Own)
    assert names(place) == [(1, "a"), (2, "b")]


def test_process_batch_around_the_usual_one(place):
    class Around(SQLSink):
        def process_batch(self, context):
            context["records"] = [record for record in context["records"] if record["id"] != 2]
            super().process_batch(context)

    load(place, [record(1), record(2), record(1, "b")], sink_class=Around)
    assert names(place) == [(1, "b")]


def test_activate_version_of_the_author_s_own(place):
    class Own(SQLSink):
        soft_delete_column_name = "gone_at"

        def activate_version(self, new_version):
            if not self.connector.table_exists(self.full_table_name):
                return
            if not self.connector.column_exists(self.full_table_name, self.soft_delete_column_name):
                column = sqlalchemy.types.Text()
                self.connector.prepare_column(self.full_table_name, self.soft_delete_column_name, sql_type=column)
            with self.connector._connect() as connection, connection.begin():
                connection.execute(sqlalchemy.text(f"UPDATE {self.full_table_name} SET gone_at = '{new_version}'"))

    sink = open_sink(target_of(place, Own))
    sink.process([record(1)])
    sink.activate_version(7)
    assert [row["gone_at"] for row in place.rows()] == ["7"]


def test_names_that_conform_to_one_are_refused(sqlite):
    class Lower(SQLSink):
        def conform_name(self, name, object_type=None):
            return name.lower()

    properties = {"id": {"type": "integer"}, "ID": {"type": "integer"}}
    with pytest.raises(ConfigurationError, match="same column to several properties: ID, id"):
        load(sqlite, [], sink_class=Lower, properties=properties)


def test_streams_named_with_a_schema_go_there(postgresql):
    target = target_of(postgresql, default_target_schema=None)
    sink = open_sink(target, f"{postgresql.schema}-people")
    sink.process([record(1)])
    assert (sink.schema_name, sink.table_name, sink.database_name) == (postgresql.schema, "people", None)
    assert str(sink.full_schema_name) == postgresql.schema
    assert names(postgresql) == [(1, "a")]


def test_a_sink_that_brings_its_connector(sqlite):
    class Own(HookSink):
        def __init__(self, target, stream_name, schema, key_properties, connector=None):
            made = connector or Connector(dict(target.config))
            _OPEN.append(made)
            super().__init__(target, stream_name, schema, key_properties, connector=made)

    sink = load(sqlite, [record(1)], sink_class=Own)
    assert sink.connector is _OPEN[-1]
    assert names(sqlite) == [(1, "a")]


def test_a_target_of_another_kind_may_use_the_sink(sqlite):
    target = target_of(sqlite, base=Target)
    sink = open_sink(target)
    _OPEN.append(sink.connector)
    sink.process([record(1), record(1, "b")])
    assert names(sqlite) == [(1, "b")]


def test_a_target_that_may_not_merge_says_so(sqlite, caplog):
    class Inserting(Connector):
        allow_merge_upsert = False

    class Sink(SQLSink):
        connector_class = Inserting

    load(sqlite, [record(1), record(2)], sink_class=Sink, load_method="upsert")
    assert "does not merge rows" in caplog.text
    assert names(sqlite) == [(1, "a"), (2, "a")]


def place_at(url):
    return type("Place", (), {"config": {"sqlalchemy_url": url}})


@settings(max_examples=15)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.text(st.characters(exclude_categories=["Cs"]))), min_size=1),
        max_size=4,
    )
)
def test_the_table_is_a_dict_of_the_records(tmp_path_factory, batches):
    path = tmp_path_factory.mktemp("db") / "x.sqlite"
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.NullPool)

    load(place_at(f"sqlite:///{path}"), *([record(*pair) for pair in batch] for batch in batches))
    with engine.connect() as connection:
        found = dict(map(tuple, connection.exec_driver_sql("SELECT id, name FROM people")))
    assert found == {key: value for batch in batches for key, value in batch}
    while _OPEN:
        _OPEN.pop().close()


# As a command

PROGRAM = """
from singerkit import SQLConnector, SQLSink, SQLTarget
from singerkit import typing as th
from singerkit.sql_target import LOAD_METHOD


class Connector(SQLConnector):
    def get_column_add_ddl(self, table_name, column_name, column_type):
        return super().get_column_add_ddl(table_name, column_name, column_type)


class Sink(SQLSink):
    connector_class = Connector


class TargetOwn(SQLTarget):
    name = "target-own"
    default_sink_class = Sink
    config_jsonschema = th.PropertiesList(th.Property("sqlalchemy_url", th.StringType), LOAD_METHOD).to_dict()


TargetOwn.cli()
"""


def test_as_a_command_states_follow_the_rows(sqlite, tmp_path):
    schema = {"type": "object", "properties": PROPERTIES}
    messages = [
        {"type": "SCHEMA", "stream": "people", "schema": schema, "key_properties": ["id"]},
        {"type": "RECORD", "stream": "people", "record": {"id": 1, "at": "2024-01-01T00:00:00Z", "more": {"a": 1.5}}},
        {"type": "RECORD", "stream": "people", "record": {"id": 1, "name": "b"}},
        {"type": "STATE", "value": {"n": 1}},
    ]
    (tmp_path / "target_own.py").write_text(PROGRAM)
    (tmp_path / "config.json").write_text(json.dumps({**sqlite.config, "load_method": "overwrite"}))
    ended = subprocess.run(
        [sys.executable, tmp_path / "target_own.py", "--config", tmp_path / "config.json"],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, '{"n": 1}\n'), ended.stderr
    assert names(sqlite) == [(1, "b")]
    assert sqlite.tables() == ["people"]
