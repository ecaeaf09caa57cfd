"""The class an author subclasses to load a database: a table a stream, the load methods, when new tables count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from singerkit import typing as th
from singerkit.compat.overrides import SQL_TARGET_OVERRIDES, refuse_overrides
from singerkit.errors import ConfigurationError, SingerKitError
from singerkit.sinks.hook_loading import HookTables
from singerkit.sinks.sql import SQLSink
from singerkit.sql.tables import APPEND, EVOLVE, FREEZE, IGNORE, OVERWRITE, UPSERT, Database, Table
from singerkit.targets import Target

if TYPE_CHECKING:
    from singerkit.sql.connector import SQLConnector
    from singerkit.sql.dialect import Dialect
    from singerkit.sql.state_table import StateTable
    from singerkit.sql.waiting import Waiting

_DATABASE_HOOKS = ("open_dialect", "open_database", "open_table")

LOAD_METHOD = th.Property(
    "load_method",
    th.StringType,
    allowed_values=[APPEND, UPSERT, OVERWRITE],
    title="Load method",
    description="`upsert` replaces the row with a record's key, `append-only` adds every record, `overwrite` loads a "
    "new table that takes the old one's place when the run has succeeded, for streams that are read in full every "
    "time. When not set: `upsert` for streams with key properties, `append-only` for others.",
)


ON_SCHEMA_CHANGE = th.Property(
    "on_schema_change",
    th.StringType,
    allowed_values=[EVOLVE, FREEZE, IGNORE],
    default=EVOLVE,
    title="On schema change",
    description="What happens when a table lacks a column or has one that is too narrow for what comes: `evolve` adds "
    "and widens columns, `freeze` ends the run, `ignore` drops such values and counts them.",
)


STATE_KEY = th.Property(
    "state_key",
    th.StringType,
    title="State key",
    description="A name of the pipeline. When set, the state is kept in the database under this name, and stored in "
    "the same transaction as the rows before it: every row is there exactly once, whatever breaks off. Begin each run "
    "with the state that `--print-state` shows.",
)

STATE_TABLE = th.Property(
    "state_table",
    th.StringType,
    default="_singerkit_state",
    title="State table",
    description="The table that keeps the states of pipelines with a `state_key`, beside the tables of the streams.",
)


class SQLTarget(Target):
    """A target that loads a database, a table for each stream."""

    keeps_states: ClassVar[bool] = True
    #: The JSON of the state that the tap was started with, where that is known: ``--started-from``.
    started_from: bytes | None = None
    capabilities: ClassVar[Sequence[str]] = (*Target.capabilities, "soft-delete", "hard-delete")
    #: The sink class of every stream; its ``connector_class`` connects.
    default_sink_class: type[SQLSink[Any]] = SQLSink

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SQL_TARGET_OVERRIDES)

    def __init__(self, **arguments: Any) -> None:
        """Take in the config; see ``Target``.

        Errors: ``ConfigurationError`` when it does not say which database.
        """
        super().__init__(**arguments)
        #: What the sinks share whose authors override how rows are stored.
        self.hook_tables = HookTables()
        self._database: Database | None = None
        self._tables: dict[str, tuple[Table, Lock]] = {}
        #: The rows that wait for their state, where the state is kept in the database.
        self.waiting = _waiting() if self.config.get("state_key") else None
        if self.waiting is not None and self.config.get("load_method") == OVERWRITE:
            raise ConfigurationError(
                "state_key: a table that is loaded anew in every run has no use for a state: remove it, or set "
                "load_method to 'append-only' or 'upsert'"
            )
        self.check_settings()

    @cached_property
    def target_connector(self) -> SQLConnector:
        """The connector of the sinks' ``connector_class``."""
        return self.default_sink_class.connector_class(dict(self.config))

    @property
    def has_own_database(self) -> bool:
        """Whether the author says how the database is filled, by a dialect or otherwise."""
        return any(getattr(type(self), name) is not getattr(SQLTarget, name) for name in _DATABASE_HOOKS)

    def open_dialect(self) -> Dialect:
        """Give how the database does what all can do; by default in standard SQL, through SQLAlchemy."""
        from singerkit.sql.dialects.any_sql import AnySQL

        return AnySQL(self.target_connector)

    def open_database(self) -> Database:
        """Open the database of the config."""
        from singerkit.sql.server import ServerDatabase

        return ServerDatabase(self.open_dialect(), self.config.get("default_target_schema"))

    def open_table(self, stream: str) -> tuple[Table, Lock]:
        """Give a stream's table, the same however often it is asked for; the lock is for streams of the same name."""
        if self.waiting is not None and stream.casefold() == self._state_table_name.casefold():
            raise ConfigurationError(
                f"the stream '{stream}' has the name of the table of states: set state_table, or rename the stream by "
                "stream_maps (__alias__)"
            )
        if stream not in self._tables:
            overwrite = self.config.get("load_method") == OVERWRITE
            self._tables[stream] = self._opened_database().table(stream, overwrite=overwrite), Lock()
        return self._tables[stream]

    def _opened_database(self) -> Database:
        if self._database is None:
            self._database = self.open_database()
        return self._database

    @property
    def _state_table_name(self) -> str:
        return str(self.config.get("state_table") or "_singerkit_state")

    def _state_table(self) -> StateTable:
        from singerkit.sql.state_table import StateTable

        key = self.config.get("state_key")
        if not key:
            raise ConfigurationError("state_key: is not set, so no state is kept in the database")
        return StateTable(self._opened_database(), self._state_table_name, str(key))

    def stored_state(self) -> str:
        """Give the JSON of the state that is kept in the database under ``state_key``; ``{}`` before the first run.

        Errors: ``ConfigurationError`` when the setting is missing; ``StateError`` when the state is damaged.
        """
        try:
            found = self._state_table().read()
        finally:
            self._close()
        return "{}" if found is None or found.text is None else found.text

    @property
    def state_keeper(self) -> Callable[[bytes], None] | None:
        """With ``state_key``: stores a state in one transaction with the rows that waited for it."""
        waiting = self.waiting
        if waiting is None and self.started_from is None:
            return None
        table = self._state_table()
        table.open(self.started_from)
        assert waiting is not None  # noqa: S101  # for the type checker: without a state_key there is no table

        def keep(state: bytes) -> None:
            try:
                table.store(state, waiting.write)
            except SingerKitError as error:
                raise waiting.located(error) from None
            waiting.clear()

        return keep

    @property
    def publisher(self) -> Callable[[], None] | None:
        """With ``overwrite``: puts the new tables in the place of the old ones; the last state leaves after that."""
        return self._publish if self.config.get("load_method") == OVERWRITE else None

    def _publish(self) -> None:
        if self._database is not None:
            self._database.publish()
        self.hook_tables.publish()

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load the input, and close the database."""
        try:
            super().listen(file_input)
        finally:
            self._close()

    def _close(self) -> None:
        if self.waiting is not None:
            self.waiting.clear()
        if self._database is not None:
            self._database.close()
            self._database = None
        if "target_connector" in self.__dict__:
            self.target_connector.close()

    def check_settings(self) -> None:
        """Refuse, before anything is read, settings that the config's schema can't refuse.

        Errors: ``ConfigurationError`` naming the setting.
        """


def _waiting() -> Waiting:
    from singerkit.sql.waiting import Waiting  # few targets keep states, and its imports take time

    return Waiting()


def path_in(config: Any, *names: str) -> str:
    """Give the first of these settings that is set.

    Errors: ``ConfigurationError`` when none is.
    """
    for name in names:
        if config.get(name):
            return str(config[name])
    raise ConfigurationError(f"{names[0]}: is required: the path of the database file (or as {' or '.join(names[1:])})")
