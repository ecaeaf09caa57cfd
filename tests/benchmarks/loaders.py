"""What the loading rows compare: for each destination singerkit's target, the peers, and what the ratio must reach."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from figures import Bounds
from processes import Command
from sides import CONNECTORS, PEER_DISTRIBUTION, PEER_VERSION, environment, open_environment, path_of_singerkit
from stores import MYSQL, POSTGRES, Files, FilesOfDlt, MySQLDatabase, PostgresSchema, Store

Settings = Mapping[str, Any]

SHARE = 10
"""Of how many records a peer loads one."""

DLT_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


@dataclass(frozen=True)
class Loader:
    """A program that loads Singer messages from stdin: how it is started, and where it stores."""

    name: str
    start: Callable[[Path], Command]
    """Gives the command for a config file."""
    store: Store
    settings: Settings
    share: int = 1

    def records_of(self, records: int) -> int:
        """Say how many of `records` this loader runs: at least one, unless none is asked for."""
        return max(records // self.share, 1) if records else 0


@dataclass(frozen=True)
class Place:
    """A store of a loader's own, and the settings that tell where it is."""

    store: Store
    settings: Settings


@dataclass(frozen=True)
class Peer:
    """A program from PyPI that loads into the same destination.

    `bounds`: how many times faster singerkit has to be, where that was said.
    """

    name: str
    distribution: str
    version: str
    place: Callable[[Path, str], Place]
    bounds: Bounds | None
    settings: Settings = field(default_factory=dict)
    program: str = ""
    """The name of its script in its environment, or of a Python file in `connectors/`."""
    extras: str = ""
    with_too: tuple[str, ...] = ()

    def open(self, folder: Path, name: str, *, install: bool) -> Loader:
        """Give the loader, with its environment. Errors: PeerUnavailable."""
        python = open_environment(
            self.distribution, self.version, install=install, extras=self.extras, with_too=self.with_too
        )
        is_script = self.program.endswith(".py")
        program = [python, CONNECTORS / self.program] if is_script else [python.parent / self.program]
        place = self.place(folder, name)
        start = partial(_command, program, [] if is_script and "dlt" in self.program else ["--config"])
        return Loader(self.name, start, place.store, {**place.settings, **self.settings}, SHARE)


@dataclass(frozen=True)
class Destination:
    """A destination: singerkit's target for it, and its peers. `peak`: megabytes singerkit may take at most."""

    title: str
    target: str
    place: Callable[[Path, str], Place]
    peers: tuple[Peer, ...]
    peak: Bounds
    is_server: bool = False
    note: str = ""

    def open(self, folder: Path, name: str) -> Loader:
        """Give singerkit's loader."""
        place = self.place(folder, name)
        program = [Path(sys.executable), "-m", "singerkit", self.target]
        start = partial(_command, program, ["--config"], **path_of_singerkit())
        return Loader("singerkit", start, place.store, place.settings)


def _command(program: list[str | Path], option: list[str], config: Path, **variables: str) -> Command:
    return Command([*program, *option, config], environment(**DLT_QUIET, **variables))


# Where each loader stores, in its own words


def _in_file(setting: str, schema: str | None, folder: Path, name: str) -> Place:
    files = Files(folder / name, schema or "main")
    named = {} if schema is None else {"default_target_schema": schema}
    return Place(files, {setting: str(files.database), **named})


def _in_folder(setting: str, folder: Path, name: str) -> Place:
    files = Files(folder / name)
    return Place(files, {setting: str(files.folder)})


def _in_postgres(database: str, folder: Path, name: str) -> Place:
    schema = f"benchmark_{name.replace('-', '_')}"
    # The server trusts its machine; a password is asked for by the peers' settings alone.
    address = {"host": POSTGRES["host"], "port": POSTGRES["port"], "user": POSTGRES["user"], "password": "none"}
    return Place(PostgresSchema(schema), {**address, database: POSTGRES["dbname"], "default_target_schema": schema})


def _dlt_in_postgres(folder: Path, name: str) -> Place:
    place = _in_postgres("database", folder, name)
    user, host, port = (quote(str(POSTGRES[part])) for part in ("user", "host", "port"))
    url = f"postgresql://{user}:none@{host}:{port}/{POSTGRES['dbname']}"
    return Place(place.store, _of_dlt("postgres", url, place.settings["default_target_schema"], folder / f"{name}-dlt"))


def _dlt_in_duckdb(folder: Path, name: str) -> Place:
    files = Files(folder / name, "loaded_by_dlt")
    return Place(files, _of_dlt("duckdb", str(files.database), files.schema, folder / f"{name}-dlt"))


def _dlt_in_folder(folder: Path, name: str) -> Place:
    files = FilesOfDlt(folder / name)
    own = {"destination": "filesystem", "dataset": "loaded_by_dlt", "folder": str(folder / f"{name}-dlt")}
    return Place(files, {**own, "bucket_url": files.folder.as_uri()})


def _in_mysql(folder: Path, name: str) -> Place:
    database = MySQLDatabase(f"benchmark_{name.replace('-', '_')}")
    return Place(database, {**MYSQL, "database": database.name})


def _dlt_in_mysql(folder: Path, name: str) -> Place:
    database = MySQLDatabase(f"benchmark_{name.replace('-', '_')}")
    user, host, port = (quote(str(MYSQL[part])) for part in ("user", "host", "port"))
    url = f"mysql+pymysql://{user}@{host}:{port}/{database.name}"
    return Place(database, _of_dlt("sqlalchemy", url, database.name, folder / f"{name}-dlt"))


def _of_dlt(destination: str, credentials: str, dataset: str, folder: Path) -> Settings:
    return {"destination": destination, "credentials": credentials, "dataset": dataset, "folder": str(folder)}


_WITHOUT_ARROW, _WITH_ARROW = Bounds(100), Bounds(350)
_MELTANO = partial(
    Peer, distribution="meltanolabs-target-postgres", version="0.8.1", place=partial(_in_postgres, "database")
)
_DLT = partial(Peer, distribution="dlt", version="1.31.0", program="dlt_load.py", extras="[duckdb,parquet,postgres]")

DESTINATIONS: dict[str, Destination] = {
    "sqlite": Destination(
        "SQLite",
        "target-sqlite",
        partial(_in_file, "path_to_database", None),
        (
            Peer(
                "singer-sdk's SQLSink",
                PEER_DISTRIBUTION,
                PEER_VERSION,
                partial(_in_file, "path_to_database", None),
                Bounds(15, 27),
                program="sqlite_target.py",
            ),
        ),
        _WITHOUT_ARROW,
    ),
    "postgres": Destination(
        "PostgreSQL",
        "target-postgres",
        partial(_in_postgres, "database"),
        (
            _MELTANO(
                "meltanolabs-target-postgres",
                bounds=Bounds(20, 38),
                settings={"load_method": "upsert"},
                program="target-postgres",
            ),
            _MELTANO(
                "meltanolabs with use_copy",
                bounds=Bounds(20, 38),
                settings={"load_method": "upsert", "use_copy": True},
                program="target-postgres",
            ),
            Peer(
                "pipelinewise-target-postgres",
                "pipelinewise-target-postgres",
                "2.1.2",
                partial(_in_postgres, "dbname"),
                Bounds(6, 11),
                {"validate_records": True},
                "target-postgres",
            ),
            _DLT("dlt", place=_dlt_in_postgres, bounds=Bounds(6, 12)),
        ),
        _WITHOUT_ARROW,
        is_server=True,
    ),
    "mysql": Destination(
        "MariaDB",
        "target-mysql",
        _in_mysql,
        (
            _DLT(
                "dlt, through SQLAlchemy",
                place=_dlt_in_mysql,
                bounds=None,
                extras="[sqlalchemy]",
                with_too=("pymysql==1.2.4",),
            ),
        ),
        _WITHOUT_ARROW,
        is_server=True,
    ),
    "duckdb": Destination(
        "DuckDB",
        "target-duckdb",
        partial(_in_file, "path", None),
        (
            Peer(
                "target-duckdb",
                "target-duckdb",
                "0.8.0",
                partial(_in_file, "path", "main"),
                Bounds(6, 10),
                program="target-duckdb",
            ),
            _DLT("dlt, Parquet", place=_dlt_in_duckdb, bounds=Bounds(5, 8), settings={"file_format": "parquet"}),
            _DLT("dlt, its defaults", place=_dlt_in_duckdb, bounds=Bounds(30, 50)),
        ),
        _WITH_ARROW,
    ),
    "parquet": Destination(
        "Parquet",
        "target-parquet",
        partial(_in_folder, "destination_path"),
        (
            Peer(
                "target-parquet",
                "target-parquet",
                "0.0.1",
                partial(_in_folder, "destination_path"),
                Bounds(8, 20),
                program="target-parquet",
            ),
            _DLT("dlt, Parquet files", place=_dlt_in_folder, bounds=None, settings={"file_format": "parquet"}),
        ),
        _WITH_ARROW,
    ),
    "jsonl": Destination(
        "JSON lines",
        "target-jsonl",
        partial(_in_folder, "destination_path"),
        (
            Peer(
                "target-jsonl",
                "target-jsonl",
                "0.1.4",
                partial(_in_folder, "destination_path"),
                Bounds(20, 40),
                {"do_timestamp_file": False},
                "target-jsonl",
            ),
        ),
        _WITHOUT_ARROW,
    ),
    "csv": Destination(
        "CSV",
        "target-csv",
        partial(_in_folder, "output_path"),
        (
            Peer(
                "meltanolabs-target-csv",
                "meltanolabs-target-csv",
                "0.5.0",
                partial(_in_folder, "output_path"),
                Bounds(12, 20),
                program="target-csv",
            ),
        ),
        _WITHOUT_ARROW,
    ),
}
