"""Streams with more properties than a table of MariaDB takes, or a row of it: refused in one clear line, or loaded."""

from __future__ import annotations

import pytest

from .conftest import made, record, schema, schema_of, state
from .servers import tables

ID = {"type": "integer"}
TEXT = {"type": ["null", "string"]}


@pytest.fixture
def mysql(tmp_path):
    yield from made("target-mysql", tmp_path)


def wide(count):
    return schema("wide", id=ID, **{f"property_{number}": TEXT for number in range(count)})


def filled(count, text, **values):
    return record("wide", **{f"property_{number}": text for number in range(count)}, **values)


def test_as_many_properties_as_the_server_has_columns(mysql):
    ended = mysql.run(wide(1016), filled(100, "short", id=1), state(1))

    assert (ended.code, ended.states) == (0, [1]), ended.err
    assert tables(mysql.name, schema_of(mysql.folder)) == [[1]]


def test_more_properties_than_that_are_refused(mysql):
    ended = mysql.run(wide(1500), record("wide", id=1), state(1))

    assert (ended.code, ended.states) == (1, []), ended.err
    assert "stream 'wide'" in ended.err
    assert "at most 1,017 columns" in ended.err
    assert ended.err.count("\n") == 2, ended.err  # the error, and the page that helps
    assert tables(mysql.name, schema_of(mysql.folder)) == []


def test_properties_that_are_too_many_for_a_table_that_is_there_are_refused(mysql):
    mysql.load(wide(1000), record("wide", id=1), state(1))

    ended = mysql.run(wide(1100), record("wide", id=2), state(2))

    assert (ended.code, ended.states) == (1, []), ended.err
    assert "at most 1,017 columns" in ended.err
    assert tables(mysql.name, schema_of(mysql.folder)) == [[1]]


def test_a_row_that_fits_no_page_is_refused(mysql):
    ended = mysql.run(wide(900), filled(1, "kept", id=1), state(1), filled(900, "can4ry 10", id=2), state(2))

    assert (ended.code, ended.states) == (1, []), ended.err
    assert "8,126 bytes" in ended.err
    assert "can4ry" not in ended.err
