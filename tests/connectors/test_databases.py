"""What holds for both databases."""

from __future__ import annotations

from .conftest import record, schema, state


def names(database, order="id"):
    return [row["name"] for row in database.rows(order=order)]


def test_the_last_record_of_a_key_wins_within_a_batch_and_across(database):
    database.load(
        schema(),
        *[record(id=number % 10, name=f"v{number}") for number in range(100)],
        state(1),
        batch_size_rows=25,
    )
    assert names(database) == [f"v{number}" for number in range(90, 100)]
    database.load(schema(), record(id=0, name="again"), record(id=10, name="new"))
    assert names(database) == ["again", *(f"v{number}" for number in range(91, 100)), "new"]


def test_composite_and_falsy_keys(database):
    properties = {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "boolean"}, "v": {"type": "integer"}}
    rows = [("x", "y,z", False), ("x,y", "z", False), ("", "", False), ("", "", True)]
    messages = [record(a=a, b=b, c=c, v=run) for run in (1, 2) for a, b, c in rows]
    database.load(schema(keys=("a", "b", "c"), **properties), *messages, batch_size_rows=3)
    assert sorted((row["a"], row["b"], bool(row["c"]), row["v"]) for row in database.rows(order=None)) == sorted(
        (*row, 2) for row in rows
    )


def test_a_stream_whose_properties_are_all_keys(database):
    for _ in range(2):
        database.load(schema(id={"type": "integer"}), record(id=1), record(id=1), record(id=2))
    assert [row["id"] for row in database.rows()] == [1, 2]


def test_records_without_keys_are_appended(database):
    for _ in range(2):
        database.load(schema(keys=()), record(id=1, name="a"), record(id=1, name="a"))
    assert names(database) == ["a"] * 4


def test_append_only_keeps_every_version(database):
    database.load(schema(), record(id=1, name="a"))
    database.load(schema(), record(id=1, name="b"), record(id=1, name="c"), load_method="append-only")
    assert sorted(names(database)) == ["a", "b", "c"]


def test_other_keys_are_honoured(database):
    properties = {"id": {"type": "integer"}, "day": {"type": "integer"}, "name": {"type": "string"}}
    database.load(schema(**properties), record(id=1, day=1, name="a"))
    database.load(
        schema(keys=("id", "day"), **properties), record(id=1, day=2, name="b"), record(id=1, day=1, name="c")
    )
    assert sorted(names(database)) == ["b", "c"]


def test_a_column_that_the_schema_no_longer_names_keeps_its_values(database):
    database.load(schema(), record(id=1, name="a"), record(id=2, name="b"))
    database.load(schema(id={"type": "integer"}, x={"type": "integer"}), record(id=1, x=5), record(id=3, x=6))
    assert [(row["name"], row["x"]) for row in database.rows()] == [("a", 5), ("b", None), (None, 6)]


def test_names_that_differ_by_case_are_columns_of_their_own(database):
    properties = {
        "id": {"type": "integer"},
        "Name": {"type": "string"},
        "name": {"type": "string"},
        "": {"type": "string"},
    }
    for _ in range(2):
        database.load(schema(**properties), {**record(), "record": {"id": 1, "Name": "N", "name": "n", "": "e"}})
    (row,) = database.rows()
    assert list(row.values()) == [1, "N", "n", "e"]
    swapped = {name: properties[name] for name in reversed(properties)}
    database.load(schema(**swapped), {**record(), "record": {"id": 1, "Name": "N2", "name": "n2", "": "e2"}})
    (row,) = database.rows()
    assert list(row.values()) == [1, "N2", "n2", "e2"]


def test_any_name_can_be_a_property_and_never_becomes_sql(database):
    strange = [
        'a"b',
        "a'b",
        'x"; DROP TABLE people; --',
        "select",
        "1st",
        "a b",
        "é😀",
        "%s",
        ":x",
        "?",
        "a.b",
        "nul\0",
    ]  # PostgreSQL has no place for a NUL in a value
    strange += ["_" * 300, "a_0123456789ab", "sqlite_x"]
    properties = {"id": {"type": "integer"}, **{name: {"type": "string"} for name in strange}}
    for number in (1, 2):
        values = {"id": number, **{name: f"{name} {number}".replace("\0", "") for name in strange}}
        database.load(schema(**properties), {**record(), "record": values})
    assert [list(row.values()) for row in database.rows()] == [
        [number, *(f"{name} {number}".replace("\0", "") for name in strange)] for number in (1, 2)
    ]


def test_keys_of_several_types_are_told_apart(database):
    properties = {"id": {"type": ["integer", "string"]}, "name": {"type": "string"}}
    database.load(schema(**properties), record(id=1, name="a"), record(id="1", name="b"), record(id=1, name="c"))
    assert sorted(names(database, order=None)) == ["b", "c"]


def test_many_columns(database):
    # What fits a page: PostgreSQL's has 8 kB for a row, MariaDB takes 1,017 columns.
    count = 900 if database.name in ("target-postgres", "target-mysql") else 1_500
    properties = {"id": {"type": "integer"}, **{f"c{number}": {"type": ["integer", "null"]} for number in range(count)}}
    database.load(schema(**properties), {**record(), "record": dict.fromkeys(properties, 3)})
    assert sum(database.rows()[0].values()) == 3 * (count + 1)


def test_texts_keep_every_character(database):
    texts = ["", "a\nb\r\t", "x\0y", "\u2028", "😀", '"\\', "NULL", "\\N", "x" * 1_000_000, "x" * 20_000_000]
    if database.name == "target-postgres":
        texts.remove("x\0y")
    if database.name == "target-mysql":
        texts.pop()  # longer than a server takes in one packet, as it comes
    database.load(schema(), *(record(id=number, name=value) for number, value in enumerate(texts)))
    assert names(database) == texts


def test_half_a_character_is_refused(database):
    ended = database.run(schema(), record(id=1, name="\ud800"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "lone surrogate" in ended.err


def test_schemas_of_every_form(database):
    forms = {
        "id": {"type": "integer"},
        "enum": {"enum": ["a", "b", None]},
        "const": {"const": 5},
        "any_of": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}, {"type": "null"}]},
        "null_only": {"type": "null"},
        "free": {},
        "reference": {"$ref": "#/definitions/r"},
    }
    message = schema(**forms)
    message["schema"]["definitions"] = {"r": {"type": "string"}}
    database.load(
        message, record(id=1, enum="a", const=5, any_of="free text", null_only=None, free=None, reference="r")
    )
    (row,) = database.rows()
    assert (row["enum"], row["const"], row["any_of"], row["null_only"]) == ("a", 5, "free text", None)


def test_versions_retire_older_rows_softly(database):
    settings = {"add_record_metadata": True}
    database.load(schema(), record(id=1, version=1, name="a"), record(id=2, version=1, name="b"), **settings)
    activate = {"type": "ACTIVATE_VERSION", "stream": "people", "version": 2}
    database.load(schema(), record(id=2, version=2, name="c"), activate, state(1), **settings)
    assert [(row["id"], row["_sdc_deleted_at"] is not None) for row in database.rows()] == [(1, True), (2, False)]


def test_versions_remove_older_rows_where_asked(database):
    settings = {"add_record_metadata": True, "hard_delete": True, "batch_size_rows": 2}
    database.load(schema(), *(record(id=number, version=1) for number in range(5)), **settings)
    activate = {"type": "ACTIVATE_VERSION", "stream": "people", "version": 2}
    database.load(schema(), *(record(id=number, version=2) for number in range(3, 9)), activate, state(1), **settings)
    assert [row["id"] for row in database.rows()] == [3, 4, 5, 6, 7, 8]


def test_versions_delete_nothing_without_metadata(database):
    database.load(schema(), record(id=1, version=1), add_record_metadata=True)
    activate = {"type": "ACTIVATE_VERSION", "stream": "people", "version": 2}
    ended = database.load(schema(), record(id=2, version=2), activate, state(1), hard_delete=True)
    assert [row["id"] for row in database.rows()] == [1, 2]
    assert "add_record_metadata" in ended.err


def test_records_marked_as_deleted_go_where_asked(database):
    properties = {"id": {"type": "integer"}, "_sdc_deleted_at": {"type": ["string", "null"], "format": "date-time"}}
    database.load(
        schema(**properties),
        *(record(id=number) for number in range(3)),
        record(id=1, _sdc_deleted_at="2024-01-01T00:00:00Z"),
        hard_delete=True,
    )
    assert [row["id"] for row in database.rows()] == [0, 2]


def test_state_is_released_after_every_batch(database):
    messages = [schema()]
    for number in range(10):
        messages += [record(id=number, name="x"), state(number)]
    assert database.load(*messages, batch_size_rows=1).states[-1] == 9
