"""Defects that are put into singerkit itself, one function each, and the connectors that are run with them.

    python mutants.py NAME tap|target|mapper --config ...

A mutant replaces one function of singerkit in the process of the connector; the harness sees the outside only. A name
that is no mutant's (``none``) runs the connector as it is.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

KINDS = ("tap", "target", "mapper")
_OFFSET = re.compile(rb"(\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Mutant:
    """A defect: what it is called, where it is put in, and the rules of which at least one has to find it."""

    name: str
    kind: str
    rules: tuple[str, ...]
    apply: Callable[[], None]

    def __str__(self) -> str:
        """Give the name of its test."""
        return f"{self.kind}-{self.name}"


MUTANTS: dict[str, Mutant] = {}


def mutant(kind: str, *rules: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register the function that puts in a defect; its docstring says what goes wrong."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        made = Mutant(apply.__name__.removeprefix(f"{kind}_"), kind, rules, apply)
        MUTANTS[str(made)] = made
        return apply

    return register


def around(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a function by what `wrap` makes of it."""
    setattr(owner, name, wrap(getattr(owner, name)))


def instead(owner: Any, name: str, function: Any) -> None:
    """Replace a function; it has to be there."""
    assert callable(getattr(owner, name)) or isinstance(getattr(owner, name), property)
    setattr(owner, name, function)


# -- taps --------------------------------------------------------------------------------------------------------------


def _change_lines(change: Callable[[list[bytes]], list[bytes]]) -> None:
    from singerkit.protocol.writer import MessageWriter

    def wrap(given: Any) -> Any:
        return lambda self, block, *more: given(self, b"".join(change(block.splitlines(keepends=True))), *more)

    around(MessageWriter, "write_records", wrap)


def _change_records(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from singerkit.records.encode import RecordEncoder

    around(RecordEncoder, "__call__", lambda given: lambda self, records: given(self, [change(r) for r in records]))


def _values(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda record: {name: change(value) for name, value in record.items()}


@mutant("tap", "TAP-050")
def tap_drops_a_record() -> None:
    """The last record of each block is lost."""
    _change_lines(lambda lines: lines[:-1] if len(lines) > 1 else lines)


@mutant("tap", "TAP-044")
def tap_duplicates_a_record() -> None:
    """The last record of each block is sent twice."""
    _change_lines(lambda lines: lines + lines[-1:])


@mutant("tap", "TAP-050")
def tap_forgets_a_context() -> None:
    """The children of every second record are not read."""
    from singerkit.streams.core import Stream

    turns = itertools.cycle([True, False])
    around(Stream, "generate_child_contexts", lambda given: lambda *a: given(*a) if next(turns) else ())


@mutant("tap", "TAP-060", "TAP-062")
def tap_emits_state_early() -> None:
    """The last block of records is written after the state that covers it."""
    from singerkit.engine.checkpoint import Checkpoints
    from singerkit.protocol.writer import MessageWriter

    held: list[bytes] = []
    write = MessageWriter.write_records

    def write_records(self: Any, block: bytes, *more: Any) -> None:
        with self.lock:
            write(self, b"".join(held), *more)
            held[:] = [block]

    def records_last(emit: Any) -> Any:
        def emit_and_write(self: Any) -> None:
            emit(self)
            write(self._writer, b"".join(held))
            self._writer.flush()

        return emit_and_write

    instead(MessageWriter, "write_records", write_records)
    around(Checkpoints, "emit", records_last)


@mutant("tap", "TAP-040")
def tap_swaps_schema_and_record() -> None:
    """A SCHEMA comes after the records that it is for."""
    from singerkit.protocol.writer import MessageWriter

    late: list[tuple[Any, ...]] = []
    given = MessageWriter.write_schema

    def records_first(write_records: Any) -> Any:
        def write(self: Any, *words: Any) -> None:
            with self.lock:
                write_records(self, *words)
                while late:
                    given(self, *late.pop())

        return write

    instead(MessageWriter, "write_schema", lambda self, *words: late.append(words))
    around(MessageWriter, "write_records", records_first)


@mutant("tap", "TAP-040")
def tap_skips_schema() -> None:
    """No SCHEMA is written."""
    from singerkit.engine import sync

    instead(sync, "write_schemas", lambda *a: None)


@mutant("tap", "TAP-027")
def tap_shuffles_keys() -> None:
    """The key properties come in another order once more, as those of a set may."""
    from singerkit.protocol.writer import MessageWriter

    def wrap(given: Any) -> Any:
        def write_schema(self: Any, stream: str, schema: Any, keys: Any, *more: Any) -> None:
            given(self, stream, schema, keys, *more)
            given(self, stream, schema, list(keys)[::-1], *more)

        return write_schema

    around(MessageWriter, "write_schema", wrap)


@mutant("tap", "TAP-045")
def tap_loses_the_time_zone() -> None:
    """Date-times lose their offset."""
    from singerkit.records.encode import RecordEncoder

    around(RecordEncoder, "__call__", lambda given: lambda self, records: _OFFSET.sub(rb"\1", given(self, records)))


@mutant("tap", "TAP-047")
def tap_truncates_decimals() -> None:
    """Decimals become doubles."""
    _change_records(_values(lambda value: float(value) if isinstance(value, Decimal) else value))


@mutant("tap", "TAP-051")
def tap_loses_nulls() -> None:
    """A null becomes an empty text."""
    _change_records(_values(lambda value: "" if value is None else value))


@mutant("tap", "TAP-051")
def tap_loses_empty_texts() -> None:
    """An empty text becomes null."""
    _change_records(lambda record: {**record, **{n: None for n in ("email", "note") if record.get(n) == ""}})


@mutant("tap", "SEL-002")
def tap_ignores_a_deselected_property() -> None:
    """Properties are sent whatever the catalog says."""
    from singerkit.engine import plan

    instead(plan, "prune_schema", lambda schema, selection: schema)


@mutant("tap", "TAP-066", "TAP-062")
def tap_bookmarks_past_a_gap() -> None:
    """A stream that is not sorted is taken for one that is."""
    from singerkit.engine import sync

    around(sync, "bookmark_of", lambda given: lambda *a, is_sorted: given(*a, is_sorted=True))


@mutant("tap", "TAP-074")
def tap_leaves_marks_of_progress() -> None:
    """What was in progress never becomes the bookmark."""
    from singerkit.state.bookmarks import Bookmark

    instead(Bookmark, "finish", lambda self: None)


@mutant("tap", "TAP-060", "TAP-074")
def tap_forgets_the_last_state() -> None:
    """The last state is not written."""
    from singerkit.engine.checkpoint import Checkpoints

    instead(Checkpoints, "emit", lambda self: self._writer.flush())


@mutant("tap", "TAP-067", "TAP-070")
def tap_forgets_the_given_state() -> None:
    """The state of an earlier run is dropped."""
    from singerkit.state.bookmarks import Bookmarks

    around(Bookmarks, "__init__", lambda given: lambda self, state=None: given(self, None))


@mutant("tap", "TAP-009")
def tap_swallows_a_failure() -> None:
    """A stream that fails is left out without a word."""
    from singerkit.engine.sync import Sync

    instead(Sync, "_stream_failed", lambda *a: None)


def _always_zero(kind: str) -> None:
    from singerkit.cli import plugin

    around(plugin, "boundary", lambda given: lambda *a: min(given(*a), 0))


def _prints(kind: str) -> None:
    from singerkit.protocol import writer

    around(writer, "claim_stdout", lambda given: lambda: (print(f"{kind} starts", flush=True), given())[1])


@mutant("tap", "TAP-008", "TAP-009")
def tap_exits_0_on_failure() -> None:
    """A failed run says that it went well."""
    _always_zero("tap")


@mutant("tap", "TAP-001")
def tap_prints_to_stdout() -> None:
    """A word for people among the messages."""
    _prints("tap")


# -- targets -----------------------------------------------------------------------------------------------------------


def _change_batches(change: Callable[[list[Any]], list[Any]]) -> None:
    from singerkit.sinks.sql import SQLSink

    def wrap(given: Any) -> Any:
        return lambda self, context: given(self, {**context, "records": change(context["records"])})

    around(SQLSink, "process_batch", wrap)


def _change_rows(change: Callable[[Any], Any]) -> None:
    each = _values(change)
    _change_batches(lambda records: [each(record) for record in records])


@mutant("target", "TGT-001", "TGT-102")
def target_forgets_the_last_batch() -> None:
    """What waits when the input ends is not stored."""
    from singerkit.engine.load import Load

    instead(Load, "_drain_all", lambda self: None)


@mutant("target", "TGT-100", "TGT-106")
def target_releases_the_state_before_the_drain() -> None:
    """A state leaves when it comes."""
    from singerkit.state.gate import StateGate

    instead(StateGate, "hold", lambda self, state: state)


@mutant("target", "TGT-102", "TGT-103")
def target_keeps_the_state() -> None:
    """A state that nothing has to wait for does not leave."""
    from singerkit.engine.load import Load

    instead(Load, "_release", lambda self, state: None)


@mutant("target", "TGT-105")
def target_rewrites_the_state() -> None:
    """Numbers of a state become doubles."""
    from singerkit.engine import load

    around(load, "state_text", lambda given: lambda m: json.dumps(json.loads(given(m), parse_int=float)).encode())


@mutant("target", "TGT-080")
def target_appends_instead_of_upserting() -> None:
    """A record never replaces one with its key."""
    from singerkit.sinks.sql import SQLSink

    instead(SQLSink, "key_properties", property(lambda self: []))


@mutant("target", "TGT-045", "TGT-082")
def target_uses_half_of_the_key() -> None:
    """Of a composite key only the first property counts."""
    from singerkit.sinks.sql import SQLSink

    instead(SQLSink, "key_properties", property(lambda self: self._key_properties[:1]))


@mutant("target", "TGT-060", "TGT-001")
def target_drops_a_record() -> None:
    """The last record of each batch is lost."""
    _change_batches(lambda records: records[:-1] if len(records) > 1 else records)


@mutant("target", "TGT-032")
def target_duplicates_a_record() -> None:
    """The last record of each batch is stored twice."""
    _change_batches(lambda records: records + records[-1:])


@mutant("target", "TGT-080")
def target_turns_a_batch_around() -> None:
    """The records of a batch are stored in the wrong order."""
    _change_batches(lambda records: records[::-1])


@mutant("target", "TGT-062")
def target_loses_empty_texts() -> None:
    """An empty text becomes null."""
    _change_rows(lambda value: None if value == "" else value)


@mutant("target", "TGT-041", "TGT-062", "TGT-066")
def target_loses_nulls() -> None:
    """A null becomes an empty text."""
    _change_rows(lambda value: "" if value is None else value)


@mutant("target", "TGT-067")
def target_loses_the_time_zone() -> None:
    """A date-time loses its offset."""
    local = re.compile(r"(T\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:\d\d)$")

    def naive(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.replace(tzinfo=None)
        return local.sub(r"\1", value) if isinstance(value, str) else value

    _change_rows(naive)


@mutant("target", "TGT-064")
def target_truncates_decimals() -> None:
    """Of a number that is not whole two digits behind the point are kept."""
    _change_rows(lambda value: round(value, 2) if isinstance(value, Decimal | float) else value)


@mutant("target", "TGT-044")
def target_forgets_rows_at_a_schema_change() -> None:
    """What waits when a schema changes is lost."""
    from singerkit.engine.load import Load

    instead(Load, "_drain_now", lambda self, slot: None)


@mutant("target", "TGT-003")
def target_forgets_a_line_without_line_feed() -> None:
    """A last line without its line feed does not count."""
    from singerkit.protocol.reader import MessageReader

    instead(MessageReader, "close", lambda self: iter(()))


@mutant("target", "TGT-084", "TGT-106")
def target_swallows_refused_records() -> None:
    """A batch with a bad record is dropped without a word."""
    from singerkit.engine.slot import Slot
    from singerkit.errors import SingerKitError

    def wrap(given: Any) -> Any:
        def store(self: Any, batch: Any) -> None:
            try:
                given(self, batch)
            except SingerKitError:
                return

        return store

    around(Slot, "store", wrap)


@mutant("target", "TGT-010", "TGT-084")
def target_exits_0_on_failure() -> None:
    """A failed run says that it went well."""
    _always_zero("target")


@mutant("target", "TGT-101")
def target_prints_to_stdout() -> None:
    """A word for people among the states."""
    _prints("target")


# -- mappers -----------------------------------------------------------------------------------------------------------


@mutant("mapper", "EXT-012g")
def mapper_forgets_the_last_line() -> None:
    """A last line without its line feed does not count."""
    from singerkit.protocol.reader import MessageReader

    instead(MessageReader, "close", lambda self: iter(()))


@mutant("mapper", "EXT-012f")
def mapper_reads_numbers_as_floats() -> None:
    """Numbers with a fraction lose the digits that a double lacks."""
    from singerkit.engine import rewrite

    instead(rewrite, "decode_exact", json.loads)


@mutant("mapper", "EXT-012c", "EXT-012d")
def mapper_writes_a_state_one_message_early() -> None:
    """A state and the message before it change places."""
    from singerkit.engine import rewrite

    waiting: list[Any] = []

    def wrap(given: Any) -> Any:
        def rewrite_one(message: Any, hooks: Any, writer: Any) -> None:
            if message["type"] == "STATE":
                given(message, hooks, writer)
            while waiting:
                given(waiting.pop(), hooks, writer)
            if message["type"] != "STATE":
                waiting.append(message)

        return rewrite_one

    around(rewrite, "_rewrite_one", wrap)


@mutant("mapper", "EXT-012b")
def mapper_drops_what_follows_a_state() -> None:
    """The first record after a state is lost."""
    from singerkit.engine import rewrite

    seen: list[str] = [""]

    def wrap(given: Any) -> Any:
        def rewrite_one(message: Any, hooks: Any, writer: Any) -> None:
            if (seen[-1], message["type"]) != ("STATE", "RECORD"):
                given(message, hooks, writer)
            seen[:] = [message["type"]]

        return rewrite_one

    around(rewrite, "_rewrite_one", wrap)


@mutant("mapper", "EXT-012e")
def mapper_loses_versions() -> None:
    """A record's version is left out, while ACTIVATE_VERSION passes."""
    from singerkit.protocol.messages import RecordMessage

    def wrap(given: Any) -> Any:
        return lambda self: {name: value for name, value in given(self).items() if name != "version"}

    around(RecordMessage, "to_dict", wrap)


@mutant("mapper", "EXT-012i")
def mapper_exits_0_on_failure() -> None:
    """A failed run says that it went well."""
    _always_zero("mapper")


def command_of(name: str, kind: str) -> list[str]:
    """Give the words that run a connector with a defect."""
    return [sys.executable, __file__, name, kind]


def main() -> None:
    """Put the defect in, then be the connector."""
    name, kind = sys.argv[1:3]
    del sys.argv[1:3]
    if name in MUTANTS:
        MUTANTS[name].apply()
    if kind == "tap":
        sys.path.insert(0, str(Path(__file__).parent / "programs"))
        from kit_tap import TapKit

        TapKit.cli()
    elif kind == "mapper":
        sys.path.insert(0, str(Path(__file__).parents[1] / "connectors_for_tests"))
        from mapper_upper import MapperUpper

        MapperUpper.cli()
    else:
        from singerkit.connectors.target_sqlite import TargetSQLite

        TargetSQLite.cli()


if __name__ == "__main__":
    main()
