"""How a source is asked for what is new: declared on a stream as ``incremental = Incremental(...)``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from singerkit import clock
from singerkit.engine.spec import RangeSpec
from singerkit.errors import ConfigurationError
from singerkit.state.bounds import BoundFormat, Bounds, BoundWriter, bound_writer, check_format
from singerkit.state.replication_key import DATE, INSTANT, NUMBER, ReplicationKeyType, instant_of
from singerkit.state.windows import TimeStep, time_step_of, windows_of
from singerkit.types import Context

if TYPE_CHECKING:
    from singerkit.streams.core import Stream

MissingKey: TypeAlias = Literal["error", "emit", "skip"]

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incremental:
    """What a source can do for a stream with a replication key.

    - ``param``: the query parameter for the earliest value that is wanted; ``end_param``: for the value that what is
      wanted has to be before. ``end_inclusive``: the source takes a *day* in ``end_param`` to include that day.
    - ``format``: how both are written: ``"rfc3339"`` (the default for instants), ``"date"`` (for days), ``"epoch"``
      (seconds), ``"epoch_ms"``, a strftime pattern in UTC, or a function of an aware datetime (a date, a number).
    - ``window``: how much is asked for at once: ``"1 day"``, ``"1 week"``, ``"1 month"``, or a timedelta. A window that
      was read to its end is where a run goes on that was stopped later.
    - ``start``: where to begin with neither a bookmark nor the setting ``start_date``.
    - ``lookback``: how far before the bookmark to begin, for records that turn up late; a number for numeric keys. The
      setting named ``lookback_setting`` wins.
    - ``end_setting``: the setting that says where to stop; records at it and after it are left out.
    - ``filter``: leave out what is before the start: for a source that can't.
    - ``newest_first``: the source gives the newest records first; reading stops at the first one before the start. The
      bookmark moves only when all is read.
    - ``missing``: what to do with a record that has no value in its replication key: ``"error"``; ``"emit"`` it, which
      does not move the bookmark; ``"skip"`` it, which is counted and said.
    - ``authoritative``: the source's values are true even if they are in the future, so the bookmark may pass the
      moment the run began.

    Errors: ``ConfigurationError``, when the class is defined, for what can't be.
    """

    param: str | None = None
    end_param: str | None = None
    end_inclusive: bool = False
    format: BoundFormat | None = None
    window: str | timedelta | TimeStep | None = None
    start: str | date | int | None = None
    lookback: str | timedelta | TimeStep | int | None = None
    filter: bool = False
    newest_first: bool = False
    missing: MissingKey = "error"
    authoritative: bool = False
    lookback_setting: str | None = "lookback_window"
    end_setting: str | None = "end_date"
    policies: ClassVar[tuple[str, ...]] = ("error", "emit", "skip")

    def __post_init__(self) -> None:
        """Refuse what can't be."""
        _named("format", check_format, self.format)
        _named("window", time_step_of, self.window or TimeStep())
        if not isinstance(self.lookback, int):
            _named("lookback", time_step_of, self.lookback or TimeStep())
        if self.window is not None and not time_step_of(self.window):
            raise ConfigurationError("Incremental: window has to be longer than nothing")
        if self.missing not in self.policies:
            raise ConfigurationError(f"Incremental: missing has to be one of {', '.join(self.policies)}")

    def writer(self, key_type: ReplicationKeyType) -> BoundWriter:
        """Give what writes bounds for a request."""
        return bound_writer(self.format, key_type)

    def params(self, bounds: Bounds, key_type: ReplicationKeyType) -> dict[str, Any]:
        """Give the query parameters that ask for these bounds."""
        writer, params = self.writer(key_type), {}
        if self.param is not None and bounds.start is not None:
            params[self.param] = writer.lower(bounds.start)
        if self.end_param is not None and bounds.end is not None:
            params[self.end_param] = writer.upper(bounds.end, inclusive=self.end_inclusive)
        return params

    def look_back(self, bookmark: Any, config: Mapping[str, Any], key_type: ReplicationKeyType) -> Any:
        """Give a bookmark moved back by the lookback window, in the form that it has in a state.

        Errors: ``ConfigurationError`` when the length can't be taken off the replication key's type.
        """
        setting = self.lookback_setting
        given = config.get(setting) if setting else None
        name, length = (f"the setting '{setting}'", given) if given is not None else ("lookback", self.lookback)
        if length is None or bookmark is None:
            return bookmark
        value = key_type.compare_key(bookmark)
        if key_type is NUMBER:
            if not isinstance(length, int):
                raise ConfigurationError(f"{name} has to be a number, as the replication key is")
            return value - length
        if key_type is not INSTANT and key_type is not DATE:
            raise ConfigurationError(f"{name}: {_NO_TIME}")
        return _named(name, time_step_of, length).before(value).isoformat()

    def end_of(self, config: Mapping[str, Any], key_type: ReplicationKeyType) -> Any:
        """Give where the user wants reading to stop, as the replication key compares; ``None`` for no such place.

        Errors: ``ConfigurationError`` when the setting is no date-time.
        """
        given = config.get(self.end_setting) if self.end_setting else None
        if not given or (key_type is not INSTANT and key_type is not DATE):
            return None
        try:
            end = instant_of(given)
        except (ValueError, TypeError):
            raise ConfigurationError(f"the setting '{self.end_setting}' is not a date-time (RFC 3339)") from None
        return end if key_type is INSTANT else end.date()

    def windows(self, bounds: Bounds, key_type: ReplicationKeyType) -> Iterator[Bounds]:
        """Give the bounds to read one after the other: one window each, or all at once where there are none.

        Errors: ``ConfigurationError`` where windows can't be: no start, another type of key, a format too coarse.
        """
        if bounds.end is not None and bounds.start is not None and bounds.start >= bounds.end:
            return
        if self.window is None:
            is_open = self.end_param is not None and bounds.end is None and key_type in (INSTANT, DATE)
            now = _now(key_type) if is_open else None
            yield replace(bounds, end=now) if now is not None and (bounds.start or now) <= now else bounds
            return
        if key_type is not INSTANT and key_type is not DATE:
            raise ConfigurationError(f"window: {_NO_TIME}")
        if bounds.start is None:
            raise ConfigurationError(
                "windows need somewhere to begin: set 'start_date' in the config, or start = ... in Incremental"
            )
        step, writer = time_step_of(self.window), self.writer(key_type)
        if not step.months and step.length < writer.resolution:
            raise ConfigurationError(f"a window of {step.length} is too short for the format {self.format!r}")
        start = writer.floor(bounds.start)
        end = bounds.end or _now(key_type)
        if start >= end:  # a bookmark in the future
            yield replace(bounds, end=None)
        for _, edge in windows_of(start, end, step):
            # An edge that the format rounds would be rounded down in one window and up in the other.
            last = end if edge == end else writer.floor(edge)
            yield Bounds(start, last)
            start = last


class Slice(dict[str, Any]):
    """A context, with the bounds of the window that its stream is reading: hooks get it as their ``context``."""

    __slots__ = ("bounds", "owner")

    def __init__(self, context: Mapping[str, Any] | None, owner: object, bounds: Bounds) -> None:
        """Copy the context's members; bounds hold for the owner only: a child may be given its parent's context."""
        super().__init__(context or {})
        self.owner = owner
        self.bounds = bounds


def ranges_of(stream: Stream) -> RangeSpec | None:
    """Give how the engine reads a stream's range, if the stream declares it.

    Errors: ``ConfigurationError`` for two orders at once.
    """
    declared = stream.declared_incremental
    if declared is None:
        return None
    if declared.newest_first and stream.is_sorted:
        raise ConfigurationError("it is either sorted (is_sorted) or has the newest first", stream=stream.name)
    return RangeSpec(
        slices=lambda context: _slices(stream, declared, context),
        until=lambda: declared.end_of(stream.config, stream.replication_key_type),
        is_windowed=declared.window is not None,
        is_filtered=declared.filter,
        newest_first=declared.newest_first,
        missing=declared.missing,
    )


def _slices(stream: Stream, declared: Incremental, context: Context | None) -> Iterator[tuple[Context | None, Bounds]]:
    """Give what is read of a context, one after the other, with its bounds fixed for as long as it is read."""
    bounds = stream.get_replication_bounds(context)
    if declared.window is None and stream.replication_key is None:
        yield context, bounds
        return
    is_fixed = declared.window is not None or declared.end_param is not None
    for part in declared.windows(bounds, stream.replication_key_type):
        yield (Slice(context, stream, part) if is_fixed else context), part


_NO_TIME = "the replication key has to be a date-time or a date; say so in its schema ('format')"


def _now(key_type: ReplicationKeyType) -> Any:
    """Give what nothing that has happened is at or after: the next whole second, or tomorrow."""
    now = clock.utc_now()
    return now.date() + _DAY if key_type is DATE else now.replace(microsecond=0) + _SECOND


def _named(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def value_of(moment: Any) -> Any:
    """Give a bound in the form that a bookmark has."""
    return moment.isoformat() if isinstance(moment, date | datetime) else moment
