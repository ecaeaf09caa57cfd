"""The class an author subclasses to read one kind of record from a source.

A stream declares; it does not run. It can read its config, its logger and where to start, and it has hooks. It can't
write messages or state: the engine does, from the stream's :meth:`Stream.spec`.

The hooks, in the order in which they are called::

    partitions                            once, for a stream without a parent
    get_records(context)                  once a context
      post_process(row, context)          each record
      generate_child_contexts(record, context)
        get_child_context(record, context)    each record of a stream that has selected children
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.compat.overrides import STREAM_OVERRIDES, refuse_overrides
from singerkit.engine.spec import FULL_TABLE, INCREMENTAL, LOG_BASED, StreamSpec, default_hook, overridden
from singerkit.errors import ConfigurationError, DataError, DiscoveryError, InvalidStreamSortException
from singerkit.schema.sources import SchemaFile, SchemaSource, StreamSchema
from singerkit.state.bounds import Bounds
from singerkit.state.replication_key import (
    DATE,
    INSTANT,
    TEXT,
    bookmark_refused,
    instant_of,
    replication_key_type,
    starting_value,
)
from singerkit.streams.incremental import Incremental, Slice, ranges_of, value_of
from singerkit.streams.underscored import Underscored
from singerkit.types import Context, Record, Schema, TypeConformanceLevel

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from singerkit.protocol.catalog import MetadataMapping
    from singerkit.schema.documents import Readable
    from singerkit.state.bookmarks import Bookmark
    from singerkit.state.replication_key import ReplicationKeyType
    from singerkit.taps import Tap

REPLICATION_FULL_TABLE = FULL_TABLE
REPLICATION_INCREMENTAL = INCREMENTAL
REPLICATION_LOG_BASED = LOG_BASED


class Stream:
    """One stream of a tap.

    Declare as class attributes, or as properties where a value depends on the config:

    - ``name``: the stream's name on the wire.
    - ``schema``: JSON Schema of a record (``th.PropertiesList(...).to_dict()``), or where it comes from: a
      :class:`~singerkit.schema.sources.SchemaSource` or a ``StreamSchema`` of one.
    - ``schema_filepath``: instead, a JSON or YAML file with the schema.
    - ``primary_keys``: the properties that make a record unique.
    - ``replication_key``: the property that orders changes; with one, the stream is incremental.
    - ``is_sorted``: whether records come in the order of the replication key; then a run that is stopped half way goes
      on where it was. ``check_sorted = False`` takes the source's word for it.
    - ``incremental``: how the source is asked for what is new, an :class:`~singerkit.Incremental`.
    - ``parent_stream_type``: the stream class whose records give this one its contexts.
    - ``state_partitioning_keys``: which members of a context have a bookmark of their own; ``[]``: one for all.
    - ``ignore_parent_replication_key``: this child changes without its parent, so all parents are read in every run.
    - ``forget_missing_parents``: once all parents were read, the bookmarks of parents that are gone leave the state.
      Nothing is lost by it: a parent that comes back has its children read from the beginning.
    """

    name: str = ""
    schema_filepath: str | Path | Readable | None = None
    primary_keys: Sequence[str] | None = None
    replication_key: str | None = None
    #: ``FULL_TABLE``, ``INCREMENTAL`` or ``LOG_BASED``, where the user is not to choose.
    forced_replication_method: str | None = None
    is_sorted: bool = False
    #: Whether a record that comes too early ends a stream that is sorted.
    check_sorted: bool = True
    #: Whether the stream is read where the catalog says neither yes nor no.
    selected_by_default: bool = True
    parent_stream_type: type[Stream] | None = None
    ignore_parent_replication_key: bool = False
    forget_missing_parents: bool = True
    incremental: Incremental | None = None
    state_partitioning_keys: Sequence[str] | None = None
    #: Whether nested objects keep properties that their schema does not name.
    TYPE_CONFORMANCE_LEVEL: ClassVar[TypeConformanceLevel] = TypeConformanceLevel.RECURSIVE
    #: Records between two STATE messages, at most.
    STATE_MSG_FREQUENCY: ClassVar[int] = 10_000
    #: Stop the stream with an error after so many records; ``None`` for no limit.
    ABORT_AT_RECORD_COUNT: ClassVar[int | None] = None

    _primary_keys = Underscored()
    _replication_key = Underscored()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let ``schema = SchemaDirectory(...)`` stand for ``schema = StreamSchema(SchemaDirectory(...))``.

        Overrides of what is not called here are refused, instead of being ignored.
        """
        super().__init_subclass__(**kwargs)
        refuse_overrides(cls, STREAM_OVERRIDES)
        source = cls.__dict__.get("schema")
        if isinstance(source, SchemaSource):
            cls.schema = StreamSchema(source)  # type: ignore[assignment]  # it gives what the property gives

    def __init__(
        self,
        tap: Tap,
        schema: str | Path | Mapping[str, Any] | SchemaSource[Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Belong to a tap; ``schema`` (a dict, the path of a file, a source) and ``name`` where the class has none.

        Errors: ``ConfigurationError`` when there is no name; ``DiscoveryError`` when the schema file can't be read.
        """
        self._tap = tap
        self._schema: Schema | None = None
        #: The replication key as declared: the catalog may ask for a full read, which then has none.
        self._declared_key: str | None = None
        self._key_types: dict[str | None, ReplicationKeyType] = {}
        #: The bookmarks that an author's hook moves and where they came last, by their entry's identity.
        self._advanced: dict[int, tuple[Bookmark, Any]] = {}
        self._schema_source = schema if isinstance(schema, SchemaSource) else None
        if name:
            self.name = name
        if not self.name:
            raise ConfigurationError(f"{type(self).__name__} has no name: set the class attribute 'name'")
        if isinstance(schema, Mapping):
            self._schema = dict(schema)
        elif schema is not None and not isinstance(schema, SchemaSource):
            self.schema_filepath = schema
        self.logger = logging.getLogger(f"{tap.name}.{self.name}")
        #: The streams that take their contexts from this one's records; filled by the tap.
        self.child_streams: list[Stream] = []

    # What an author reads

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a record; most authors override this with a class attribute."""
        if self._schema is None:
            source = self._schema_source
            if source is None and self.schema_filepath is not None:
                source = SchemaFile(self.schema_filepath)
            if source is None:
                raise DiscoveryError(
                    "no schema: set 'schema' or 'schema_filepath'; --infer writes one from sample records",
                    stream=self.name,
                )
            self._schema = StreamSchema(source).get_stream_schema(self, type(self))
        return self._schema

    @property
    def tap_stream_id(self) -> str:
        """The stream's identity in the catalog and in the state."""
        return self.name

    @property
    def tap_name(self) -> str:
        """The tap's name."""
        return self._tap.name

    @property
    def config(self) -> Mapping[str, Any]:
        """The tap's config, read-only."""
        return self._tap.config

    @property
    def replication_method(self) -> str:
        """``FULL_TABLE``, ``INCREMENTAL`` or ``LOG_BASED``: what was forced, else incremental if there is a key."""
        return self.forced_replication_method or (INCREMENTAL if self.replication_key else FULL_TABLE)

    @property
    def is_timestamp_replication_key(self) -> bool:
        """Whether the replication key is an instant."""
        return self.replication_key_type is INSTANT

    @property
    def declared_incremental(self) -> Incremental | None:
        """What ``incremental`` declares; an attribute of that name that is something else is the author's own."""
        return self.incremental if isinstance(self.incremental, Incremental) else None

    @property
    def selected(self) -> bool:
        """Whether the user wants this stream."""
        return self._tap.is_selected(self)

    @property
    def has_selected_descendents(self) -> bool:
        """Whether the user wants a stream that takes its contexts from this one."""
        return any(child.selected or child.has_selected_descendents for child in self.child_streams)

    @property
    def metadata(self) -> MetadataMapping:
        """The stream's metadata: the catalog's, else what discovery says."""
        return self._tap.metadata_of(self)

    @property
    def tap_state(self) -> dict[str, Any]:
        """The whole state as it stands; read it, don't change it."""
        return self._tap.bookmarks.value

    @property
    def stream_state(self) -> dict[str, Any]:
        """The stream's entry in the state."""
        return self._tap.bookmarks.entry(self.tap_stream_id, None)

    def get_context_state(self, context: Context | None) -> dict[str, Any]:
        """Give the state's living entry for a context: ``replication_key_value`` and what the tap keeps there."""
        return self._tap.bookmarks.entry(self.tap_stream_id, self.state_context(context))

    def get_starting_replication_key_value(self, context: Context | None) -> Any:
        """Give where to begin: the bookmark less the lookback window, or ``start_date`` if that is later.

        The same at any time of a run. ``None`` for the beginning of time, and for a stream that is not incremental;
        while a window is read, where the window begins.
        """
        if isinstance(context, Slice) and context.owner is self:
            return value_of(context.bounds.start)
        if self.replication_method != INCREMENTAL and not self.replication_key:
            return None
        entry = self._tap.bookmarks.start(self.tap_stream_id, self.state_context(context))
        bookmark = starting_value(entry, self.replication_key)
        declared, kind = self.declared_incremental, self.replication_key_type
        if self.replication_method == FULL_TABLE:
            bookmark = None
        try:
            if declared is not None:
                bookmark = declared.look_back(bookmark, self.config, kind)
            start = self._no_earlier_than_start_date(bookmark)
        except DataError:
            raise self._start_refused(self.config.get("start_date")) from None
        return value_of(declared.start) if start is None and declared is not None else start

    def get_replication_bounds(self, context: Context | None) -> Bounds:
        """Give from where to where to read: ``start`` and ``end``, typed, or ``None`` where there is no bound.

        Shape: aware datetimes for instants, dates for days, else the replication key's values. While a window of an
        :class:`~singerkit.Incremental` is read, the window's.
        """
        if isinstance(context, Slice) and context.owner is self:
            return context.bounds
        kind, declared = self.replication_key_type, self.declared_incremental
        if self.replication_key is None:
            start = None if declared is None or declared.window is None else self._full_table_start(declared)
        else:
            start = self.get_starting_replication_key_value(context)
        end = None if declared is None else declared.end_of(self.config, kind)
        try:
            return Bounds(None if start is None else kind.compare_key(start), end)
        except DataError:
            raise self._start_refused(self.config.get("start_date")) from None

    def get_replication_params(self, context: Context | None) -> dict[str, Any]:
        """Give the request's parameters that ask for these bounds, as ``incremental`` declares them."""
        if self.declared_incremental is None:
            return {}
        return self.declared_incremental.params(self.get_replication_bounds(context), self.replication_key_type)

    def get_starting_timestamp(self, context: Context | None) -> datetime | None:
        """Give :meth:`get_starting_replication_key_value` as a datetime with a time zone.

        Errors: ``ConfigurationError`` when the replication key is neither a date-time nor a date.
        """
        value = self.get_starting_replication_key_value(context)
        if value is None:
            start_date = self.config.get("start_date")
            return instant_of(start_date) if start_date and self.replication_key else None
        if not self.is_timestamp_replication_key and self.replication_key_type is not DATE:
            raise ConfigurationError(
                f"the replication key '{self.replication_key}' is not a date-time", stream=self.name
            )
        try:
            return instant_of(value)
        except (ValueError, TypeError):
            raise self._start_refused(self.config.get("start_date")) from None

    # What an author overrides

    @property
    def partitions(self) -> Iterable[Context] | None:
        """The parts to read one by one, each with a bookmark of its own; ``None`` for one whole.

        Known from the state by default, so that a stream whose state is partitioned goes on with the same partitions.
        """
        entries = self._tap.bookmarks.find(self.tap_stream_id, None).get("partitions")
        return [entry["context"] for entry in entries] if entries else None

    def get_records(self, context: Context | None) -> Iterable[Record | tuple[Record, Context | None]]:
        """Give the records of one context, one by one; with ``(record, child context)`` pairs if that is easier.

        Called in a thread of its own, several contexts at the same time: keep what belongs to a context in local
        variables, not on ``self``.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define get_records")

    @default_hook
    def post_process(self, row: Record, context: Context | None = None) -> Record | None:
        """Change a record, or give ``None`` to drop it."""
        return row

    def get_child_context(self, record: Record, context: Context | None) -> Context | None:
        """Give what the child streams need to know of a parent's record; ``None`` to skip its children.

        Errors: ``ConfigurationError`` where it would be a guess: override it, or give each child
        ``state_partitioning_keys``.
        """
        for child in self.child_streams:
            if child.state_partitioning_keys is None:
                raise ConfigurationError(
                    f"'{child.name}' takes its contexts from '{self.name}': define {type(self).__name__}."
                    "get_child_context(record, context), or state_partitioning_keys on the child",
                    stream=self.name,
                )
        return context or record

    def generate_child_contexts(self, record: Record, context: Context | None) -> Iterable[Context | None]:
        """Give the contexts of all children of a record: one, from :meth:`get_child_context`, by default."""
        yield self.get_child_context(record, context)

    @default_hook
    def compare_start_date(self, value: Any, start_date_value: Any) -> Any:
        """Give the later of a bookmark and the setting ``start_date``; the bookmark where they can't be compared."""
        kind = INSTANT if self.is_timestamp_replication_key else self.replication_key_type
        return kind.latest(value, start_date_value) if kind in (INSTANT, DATE) else value

    @default_hook
    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        """Move the bookmark past a record; reached only through an author's override, which the engine calls instead.

        Call order: after the record is written, record by record.
        """
        from singerkit.state.bookmarks import Bookmark  # `--help` does without

        key = self.replication_key
        if not key or self.replication_method != INCREMENTAL:
            return
        entry, kind = self.get_context_state(context), self.replication_key_type
        bookmark, previous = self._advanced.get(id(entry)) or (None, None)
        if bookmark is None:
            bookmark = Bookmark(entry, key, kind, self.get_replication_key_signpost(context), self.is_sorted)
        order = kind.compare_key(latest_record[key])
        if self.is_sorted and self.check_sorted and previous is not None and order < previous:
            raise InvalidStreamSortException(
                f"the records are not sorted by '{key}', though the stream says so; set is_sorted = False, or sort at "
                "the source"
            )
        bookmark.advance(latest_record[key])
        self._advanced[id(entry)] = bookmark, order

    @default_hook
    def get_replication_key_signpost(self, context: Context | None) -> Any:
        """Give the value that the bookmark must not pass in this run: the present moment for instants and days."""
        now = self.replication_key_type.now if self.replication_key else None
        return now() if now is not None else None

    # What the engine reads

    @property
    def has_schema(self) -> bool:
        """Whether the author, or what the author named, gives a schema."""
        try:
            return bool(self.schema)
        except DiscoveryError:
            return False

    def assume_schema(self) -> None:
        """Where there is no schema yet, go on with one that names the keys and allows anything: to find out more.

        Errors: ``DiscoveryError`` where the author's own ``schema`` property gives one.
        """
        try:
            _ = self.schema
        except DiscoveryError:
            properties: dict[str, Schema] = {name: {} for name in self.primary_keys or ()}
            if self.replication_key:
                # What most are; hooks may ask for the timestamp to begin at.
                properties[self.replication_key] = {"type": ["string", "null"], "format": "date-time"}
            self._schema = {"type": "object", "properties": properties}
            self.__dict__["schema"] = self._schema  # what a StreamSchema would have left there
            _ = self.schema

    def state_context(self, context: Context | None) -> Context | None:
        """Give the part of a context that has a bookmark of its own."""
        if not context or self.state_partitioning_keys is None:
            return context
        return {name: context[name] for name in self.state_partitioning_keys}

    def spec(self) -> StreamSpec:
        """Read every declaration once."""
        parent = self.parent_stream_type
        keys = self.state_partitioning_keys
        self._declared_key = self.replication_key
        return StreamSpec(
            tap_stream_id=self.tap_stream_id,
            name=self.name,
            schema=self.schema,
            primary_keys=tuple(self.primary_keys or ()),
            replication_key=self.replication_key,
            replication_method=self.replication_method,
            forced_replication_method=self.forced_replication_method,
            is_sorted=self.is_sorted,
            check_sorted=self.check_sorted,
            selected_by_default=self.selected_by_default,
            state_partitioning_keys=None if keys is None else tuple(keys),
            parent=None if parent is None else self._tap.stream_id_of(parent),
            ignore_parent_replication_key=self.ignore_parent_replication_key,
            read=self.get_records,
            read_pages=None,
            post_process=overridden(self, "post_process"),
            child_contexts=self.generate_child_contexts,
            partitions=lambda: self.partitions,
            signpost=overridden(self, "get_replication_key_signpost") or self._signpost(),
            record_limit=self.ABORT_AT_RECORD_COUNT,
            ranges=ranges_of(self),
            increment=overridden(self, "_increment_stream_state"),
            forget_missing_parents=self.forget_missing_parents,
            keeps_nested=self.TYPE_CONFORMANCE_LEVEL is not TypeConformanceLevel.RECURSIVE,
        )

    def _signpost(self) -> Callable[[Context | None], Any] | None:
        """Give the signpost that ``incremental`` asks for, if it asks for another one than the run's beginning."""
        declared = self.declared_incremental
        return (lambda context: None) if declared is not None and declared.authoritative else None

    def _full_table_start(self, declared: Incremental) -> Any:
        """Give where the windows of a stream begin that is read in full."""
        return declared.start if declared.start is not None else self.config.get("start_date")

    def _no_earlier_than_start_date(self, bookmark: Any) -> Any:
        start_date = self.config.get("start_date")
        if not start_date or bookmark is None:
            is_time = self.replication_key_type in (INSTANT, DATE, TEXT)
            return bookmark if not start_date or not is_time else start_date
        return self.compare_start_date(bookmark, start_date)

    def _start_refused(self, start_date: Any) -> ConfigurationError:
        """Give the error for a start that is no instant: the setting's if it is that, else the state's."""
        try:
            instant_of(start_date) if start_date else None
        except (ValueError, TypeError):
            return ConfigurationError("the setting 'start_date' is not a date-time (RFC 3339)")
        return bookmark_refused(self.replication_key, INSTANT)

    @property
    def replication_key_type(self) -> ReplicationKeyType:
        """How the values of the replication key are compared; by its schema."""
        key = self.replication_key or self._declared_key
        kind = self._key_types.get(key)
        if kind is None:  # an author's schema may take long to make
            kind = self._key_types[key] = replication_key_type(self.schema.get("properties", {}).get(key, {}))
        return kind
