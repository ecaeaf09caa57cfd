"""The class an author subclasses to read a database: a stream for each table and view."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.compat.overrides import SQL_TAP_OVERRIDES, refuse_overrides
from singerkit.sql.connector import SQLConnector
from singerkit.streams.sql import SQLStream
from singerkit.taps import Tap

if TYPE_CHECKING:
    from singerkit.protocol.catalog import CatalogEntry
    from singerkit.streams.core import Stream


class SQLTap(Tap):
    """Reads a database. Give it a ``name`` and a ``default_stream_class``, whose ``connector_class`` connects."""

    #: The stream class of every table.
    default_stream_class: ClassVar[type[SQLStream]] = SQLStream
    #: Schemas that are not discovered.
    exclude_schemas: ClassVar[Sequence[str]] = ()

    #: For an author's own ``catalog_dict`` to keep what it found.
    _catalog_dict: dict[str, Any] | None = None
    _is_discovering = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SQL_TAP_OVERRIDES)

    @cached_property
    def tap_connector(self) -> SQLConnector:
        """The connector that all streams share."""
        return self.default_stream_class.connector_class(dict(self.config))

    @cached_property
    def streams(self) -> dict[str, Stream]:
        """All streams by name, sorted.

        Errors: ``DiscoveryError`` when two streams have one name or the database can't be asked.
        """
        self._is_discovering = True
        try:
            return super().streams
        finally:
            self._is_discovering = False

    @property
    def catalog_dict(self) -> dict[str, Any]:
        """The catalog as an object; within ``discover_streams``, from what the streams are to be made."""
        if not self._is_discovering:
            return super().catalog_dict
        return {"streams": [entry.to_dict() for entry in self._given_entries()]}

    def discover_streams(self) -> Sequence[Stream]:
        """Give a stream for each table: those of the user's catalog if there is one, else all that the database has."""
        return [self.default_stream_class(self, entry, connector=self.tap_connector) for entry in self._entries()]

    @cached_property
    def discovered_entries(self) -> list[CatalogEntry]:
        """The catalog entries that the database itself gives."""
        connector = self.tap_connector
        if type(connector).discover_catalog_entries is SQLConnector.discover_catalog_entries:
            return connector.discover(self.exclude_schemas)
        words: dict[str, Any] = {"exclude_schemas": self.exclude_schemas} if self.exclude_schemas else {}
        return _read(connector.discover_catalog_entries(**words))

    def _entries(self) -> list[CatalogEntry]:
        if type(self).catalog_dict is not SQLTap.catalog_dict:
            return _read(self.catalog_dict["streams"])
        return self._given_entries()

    def _given_entries(self) -> list[CatalogEntry]:
        return list(self.input_catalog.values()) if self.input_catalog else self.discovered_entries

    def _entry_of(self, stream: Stream) -> CatalogEntry:
        entry: Any = getattr(stream, "catalog_entry", None)
        return entry if entry is not None else super()._entry_of(stream)


def _read(entries: Sequence[Any]) -> list[CatalogEntry]:
    """Give the entries that an author's hook gave as objects."""
    from singerkit.protocol.catalog import CatalogEntry

    return [entry if isinstance(entry, CatalogEntry) else CatalogEntry.from_dict(entry) for entry in entries]
