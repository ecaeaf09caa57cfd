"""A database of the test's own, in SQLite and in PostgreSQL."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy

sys.path.insert(0, str(Path(__file__).parents[1]))

from connectors import servers


@dataclass
class Place:
    """Where tables go: ``schema`` is None where there are none."""

    url: str
    schema: str | None
    engine: sqlalchemy.Engine

    @property
    def config(self):
        return {"sqlalchemy_url": self.url, **({"default_target_schema": self.schema} if self.schema else {})}

    def execute(self, *statements):
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("SCHEMA.", f"{self.schema}." if self.schema else ""))

    def rows(self, table="people", order="id"):
        with self.engine.connect() as connection:
            found = sqlalchemy.Table(table, sqlalchemy.MetaData(), schema=self.schema, autoload_with=connection)
            rows = connection.execute(sqlalchemy.select(found)).mappings()
            return sorted((dict(row) for row in rows), key=lambda row: row[order])

    def tables(self):
        return sorted(sqlalchemy.inspect(self.engine).get_table_names(self.schema))


@contextmanager
def opened(url, schema):
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    yield Place(url, schema, engine)
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path):
    with opened(f"sqlite:///{tmp_path}/test.sqlite", None) as place:
        yield place


@pytest.fixture
def postgresql():
    servers.need("target-postgres")
    given, schema = servers.POSTGRES, f"sql_{uuid4().hex[:12]}"
    url = f"postgresql+psycopg://{given['user']}@{given['host']}:{given['port']}/{given['dbname']}"
    with opened(url, schema) as place:
        place.execute(f"CREATE SCHEMA {schema}")
        yield place
    servers.clean("target-postgres", schema)


@pytest.fixture
def mysql():
    servers.need("target-mysql")
    given, schema = servers.MYSQL, f"sql_{uuid4().hex[:12]}"
    url = f"mysql+pymysql://{given['user']}@{given['host']}:{given['port']}/{given['database']}?charset=utf8mb4"
    with opened(url, schema) as place:
        place.execute(f"CREATE SCHEMA {schema} CHARACTER SET utf8mb4")
        yield place
    servers.clean("target-mysql", schema)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def any_place(request):
    """For what databases name or write otherwise."""
    return request.getfixturevalue(request.param)
