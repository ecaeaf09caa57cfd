"""Decoding a target's RECORD lines, a block at a time, and judging the records on the way.

A block of lines is decoded straight into a type made from the stream's schema (``records.typed``): one pass in C reads
and validates. What the type can't say is judged by jsonschema-rs on the decoded records. A block that does not pass
is read again line by line: freely decoded, brought to the same form, judged; so the type's refusal is never the
verdict. Whatever unknown property or date form made the type refuse is learned, a bounded number of times.

Values: see ``records.typed`` for numbers. NaN and Infinity are no JSON. A number of more than 4,300 digits written out
is refused, as is nesting that is too deep: both are programs in disguise. Dates become ``datetime``, ``date`` or
``time`` in a record's own properties (not in nested ones). Digits beyond microseconds are cut and counted
(``on_change``), zeros among them silently, as they change nothing; leap seconds and anything else that
``fromisoformat`` does not read is refused, except where the schema also allows plain text: there it stays text.

Patterns run in a linear-time engine; those with look-around or back-references, which it can't do, under a budget.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, Protocol, TypeAlias, TypeVar

import msgspec

from singerkit.errors import ConfigurationError, DataError
from singerkit.records.dates import DateChanges, OnChange, compile_dates, date_formats_of, log_changes
from singerkit.records.judge import compile_accepts, compile_judge
from singerkit.records.rejection import Rejected, pointer_of
from singerkit.records.typed import compile_conform, object_reading, typed_record, widened
from singerkit.schema.refs import check_schema, resolve_references
from singerkit.schema.walk import rebuild
from singerkit.types import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from singerkit.records.dates import DateFormat
    from singerkit.records.typed import TypedRecord
    from singerkit.types import Breadcrumb, Schema

logger = logging.getLogger(__name__)

MAX_DIGITS = 4300
#: How often a stream's type is made anew, and how many unknown properties it learns in all.
MAX_LESSONS = 8
MAX_LEARNED_PROPERTIES = 500

RecordType = TypeVar("RecordType")


class RecordLine(msgspec.Struct, Generic[RecordType], gc=False):
    """A RECORD message; its stream is known to whoever asked."""

    type: Literal["RECORD"]
    record: RecordType
    version: int | None = None
    time_extracted: str | None = None


_decode_raw_lines = msgspec.json.Decoder(RecordLine[msgspec.Raw]).decode_lines

#: What decoding gives: a RECORD message with the record as a dict.
Envelope: TypeAlias = RecordLine[Record]


class Decode(Protocol):
    """Decodes a block of lines; ``rows`` is how many they are, where that is known."""

    def __call__(self, block: bytes, rows: int | None = None) -> list[Envelope]:
        """Give one envelope a line."""


class _Misfit(Exception):
    """A block that the type refuses: no verdict, only the reason to read it line by line."""


def compile_decoder(
    schema: Schema,
    *,
    key_properties: Sequence[str] = (),
    validate: bool = True,
    exact_numbers: bool = False,
    parse_datetimes: bool = True,
    on_change: OnChange | None = None,
    keep_structs: bool = False,
    keep_raw: bool = False,
) -> Decode:
    """Give the function that decodes a block of whole RECORD lines of one stream.

    Shape: its argument is lines ended by LF (CR LF is fine, the last may lack it; blank lines are passed over), its
    result one envelope a line, in order. A record holds what its line held, unknown properties and nulls included; the
    order of its properties is not kept. One thread at a time: it learns.

    ``validate=False`` judges nothing but that every key property is there; a value of another type than the schema
    says, a date that can't be read among them, is passed on as decoded.
    ``on_change`` is told of each value that was changed; without it they are counted and logged.
    ``keep_structs``: a record may stay the struct that it was decoded into, where no dict is needed to judge it.
    ``keep_raw``: a record may stay the JSON text that it came as, a ``msgspec.Raw`` on one line, once it was judged.

    Errors: DataError for a schema that is not valid; the function raises LineRejected, or KeyPropertyMissing.
    """
    judged_schema = _usable_schema(schema)
    judge = compile_judge(judged_schema) if validate else None
    read_schema = judged_schema if validate else rebuild(judged_schema, _types_only)
    date_formats = dict(date_formats_of(read_schema, lenient=not validate)) if parse_datetimes else {}
    changes = DateChanges(on_change or log_changes())
    read_line = _compile_line_reader(
        conform=compile_conform(object_reading(read_schema, exact_numbers=exact_numbers)),
        check_keys=_compile_key_check(key_properties),
        judge=judge,
        read_dates=compile_dates(date_formats, changes),
    )
    typed = _TypedDecoder(
        read_schema,
        key_properties,
        date_formats,
        changes,
        exact=exact_numbers and not keep_raw,  # to be judged a number may be read as a double
        validate=validate,
        keep_structs=keep_structs or keep_raw,
    )
    return _compile_block_decoder(typed, read_line, changes, keep_raw=keep_raw)


def _compile_block_decoder(
    typed: _TypedDecoder, read_line: Callable[[bytes], Envelope], changes: DateChanges, *, keep_raw: bool
) -> Decode:
    def decode(block: bytes, rows: int | None = None) -> list[Envelope]:
        try:
            envelopes = typed.decode(block, rows)
            if keep_raw:
                envelopes = _as_they_came(block)
        except _Misfit as misfit:
            changes.forget()
            envelopes = _line_by_line(block, read_line)
            typed.learn(str(misfit), envelopes)
        changes.tell()
        return envelopes

    return decode


def _as_they_came(block: bytes) -> list[Any]:
    # Between values a carriage return is a space, but some programs would take it for the end of a line.
    return _decode_raw_lines(block.replace(b"\r", b" "))


def _line_by_line(block: bytes, read_line: Callable[[bytes], Envelope]) -> list[Envelope]:
    envelopes = []
    for index, line in enumerate(block.split(b"\n")):
        if line and not line.isspace():
            try:
                envelopes.append(read_line(line))
            except Rejected as rejected:
                raise rejected.at(index) from None
    return envelopes


# -- the schema --------------------------------------------------------------------------------------------------------


def _usable_schema(schema: Schema) -> Schema:
    """Give the schema without references, in the words of today's drafts, of an object.

    Errors: DataError, if it is no valid schema.
    """
    try:
        if not isinstance(schema, dict):
            check_schema(schema)
        modern = rebuild(resolve_references(schema), _modern)
        check_schema(modern)
    except ConfigurationError as error:
        raise DataError(f"the stream's {error}") from None
    except RecursionError:
        raise DataError("the stream's schema is nested too deeply") from None
    return modern if "type" in modern else {"type": "object", **modern}


def _modern(_: Breadcrumb, part: Schema) -> Schema:
    """Say what draft 4 says with true beside a bound, and what some taps list twice, as later drafts do.

    Identifiers go: the references that needed them are resolved.
    """
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(part.get(exclusive), bool):
            is_exclusive = part.pop(exclusive)
            if is_exclusive and bound in part:
                part[exclusive] = part.pop(bound)
    if isinstance(part.get("type"), list) and all(isinstance(name, str) for name in part["type"]):
        part["type"] = list(dict.fromkeys(part["type"]))
    for identifier in ("$schema", "$id", "id"):
        if isinstance(part.get(identifier), str):
            del part[identifier]
    return part


_READ_WITHOUT_JUDGING = frozenset({"type", "format", "properties", "items", "multipleOf", "anyOf", "oneOf"})


def _types_only(_: Breadcrumb, part: Schema) -> Schema:
    """Leave only what tells how values are read."""
    kept = {keyword: value for keyword, value in part.items() if keyword in _READ_WITHOUT_JUDGING}
    if isinstance(part.get("additionalProperties"), dict):
        kept["additionalProperties"] = part["additionalProperties"]
    return kept


# -- blocks, by type ---------------------------------------------------------------------------------------------------

#: What msgspec is to leave as it is when it turns typed records into dicts.
_KEPT_TYPES = (datetime, date, time, Decimal)
#: Reads a number digit for digit, and refuses one that would be too long written out.
_read_exactly = Context(
    prec=MAX_DIGITS, Emax=MAX_DIGITS, Emin=-MAX_DIGITS, traps=[Inexact, InvalidOperation, Overflow, Subnormal]
).create_decimal
#: A time of day with digits beyond microseconds, and characters that hide behind an escape: msgspec would round.
#: Both begin with one plain character, which is what makes searching a whole block cheap.
_FINE_TIME = re.compile(rb"\.(?<=[0-9]:[0-9][0-9]\.)[0-9]{7}")
_HIDDEN_CHARACTER = re.compile(rb"\\[u]00[23]")

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, RecursionError)


class _TypedDecoder:
    """The owner of a stream's type: decodes by it, and makes it anew when it turns out to be too narrow."""

    def __init__(
        self,
        schema: Schema,
        key_properties: Sequence[str],
        date_formats: Mapping[str, DateFormat],
        changes: DateChanges,
        *,
        exact: bool,
        validate: bool,
        keep_structs: bool,
    ) -> None:
        self._schema = schema
        self._key_properties = key_properties
        self.date_formats_of = date_formats
        self._changes = changes
        self._exact = exact
        self._validate = validate
        self._keep_structs = keep_structs
        self._native_dates = True
        self._lessons_left = MAX_LESSONS
        self._names_left = MAX_LEARNED_PROPERTIES
        self.decode: Decode = self._compile()

    def learn(self, reason: str, envelopes: Iterable[Envelope]) -> None:
        """Widen the type by what it refused in these good records, as long as lessons are left."""
        if not self._lessons_left:
            return
        if "RFC3339" in reason and self._native_dates:
            self._native_dates = False
        elif "unknown field" not in reason or not self._learn_properties(envelopes):
            return
        self._lessons_left -= 1
        self.decode = self._compile()

    def _learn_properties(self, envelopes: Iterable[Envelope]) -> bool:
        wider = self._schema
        for envelope in envelopes:
            wider = widened(wider, envelope.record)
        learned = _size(wider) - _size(self._schema)
        if not 0 < learned <= self._names_left:
            return False
        self._schema = wider
        self._names_left -= learned
        return True

    def _compile(self) -> Decode:
        native = self.date_formats_of.keys() if self._native_dates else ()
        try:
            plan = typed_record(
                self._schema,
                key_properties=self._key_properties,
                date_properties=native,
                exact_numbers=self._exact,
            )
            return self._compile_plan(plan) if plan else _refuse
        except (TypeError, ValueError, NotImplementedError, RecursionError):  # what msgspec can't say as a type
            return _refuse

    def _compile_plan(self, plan: TypedRecord) -> Decode:
        texts = {name: how for name, how in self.date_formats_of.items() if name not in plan.native_dates}
        read_dates = compile_dates(texts, self._changes)
        return _compile_typed(plan, validate=self._validate, read_dates=read_dates, keep_structs=self._keep_structs)


def _refuse(block: bytes, rows: int | None = None) -> NoReturn:
    raise _Misfit


def _size(schema: Any) -> int:
    """Count the properties that a schema names, at any depth."""
    if not isinstance(schema, dict):
        return 0
    named = schema.get("properties") or {}
    return len(named) + sum(map(_size, named.values())) + _size(schema.get("items"))


def _compile_typed(
    plan: TypedRecord, *, validate: bool, read_dates: Callable[[Record], None] | None, keep_structs: bool
) -> Decode:
    """Give the function that decodes a block whose every record fits the type; it raises _Misfit for any other."""
    decode_lines = msgspec.json.Decoder(RecordLine[plan.type], float_hook=_read_exactly).decode_lines  # type: ignore[name-defined]
    to_builtins = msgspec.to_builtins
    accepts = compile_accepts(plan.judged) if plan.judged and validate else None
    numbers = tuple(plan.exact_numbers.items()) if validate else ()
    needs_dicts = bool(not keep_structs or accepts or plan.unsure_keys or read_dates)
    number_fields = _number_fields(plan, numbers)

    def decode(block: bytes, rows: int | None = None) -> list[Envelope]:
        try:
            lines = decode_lines(block)
            records = to_builtins([line.record for line in lines], builtin_types=_KEPT_TYPES) if needs_dicts else []
        except _UNREADABLE as error:
            raise _Misfit(str(error)) from None
        if len(lines) != (_lines_in(block) if rows is None else rows):
            raise _Misfit("not one message a line")
        if plan.native_dates and _is_finer_than_microseconds(block):
            raise _Misfit("RFC3339 time with more digits than microseconds")
        if not needs_dicts:
            structs = [line.record for line in lines] if number_fields else []
            if any(not set(map(type, map(number_of, structs))) <= types for number_of, types in number_fields):
                raise _Misfit("no number")
            return lines
        if accepts and not accepts(records):
            raise _Misfit("judged to break the schema")
        _check_numbers(records, numbers)
        _finish(records, plan.unsure_keys, read_dates)
        for line, record in zip(lines, records, strict=True):
            line.record = record
        return lines

    return decode


def _lines_in(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _number_fields(
    plan: TypedRecord, numbers: Iterable[tuple[str, frozenset[type]]]
) -> list[tuple[Callable[[Any], Any], frozenset[type]]]:
    """Give what reads each exact number of a struct, and the types that it may have."""
    names = getattr(plan.type, "__struct_encode_fields__", ())
    fields = dict(zip(names, getattr(plan.type, "__struct_fields__", ()), strict=True))
    return [(attrgetter(fields[name]), types | {msgspec.UnsetType}) for name, types in numbers if name in fields]


def _check_numbers(records: list[Record], numbers: Iterable[tuple[str, frozenset[type]]]) -> None:
    for name, allowed in numbers:
        if not _types_of(name, records) <= allowed:
            raise _Misfit("no number")


def _types_of(name: str, records: list[Record]) -> set[type]:
    """Give the types of a property's values; a record without it counts as a whole number."""
    try:
        return set(map(type, map(itemgetter(name), records)))
    except KeyError:
        return {type(record.get(name, 0)) for record in records}


def _finish(records: list[Record], unsure_keys: Sequence[str], read_dates: Callable[[Record], None] | None) -> None:
    """Do what the type could not, where there is anything."""
    for name in unsure_keys:
        if any(record.get(name) is None for record in records):
            raise _Misfit("a key property is missing")
    if read_dates:
        try:
            for record in records:
                read_dates(record)
        except Rejected as rejected:
            raise _Misfit(str(rejected)) from None


def _is_finer_than_microseconds(block: bytes) -> bool:
    return bool(_FINE_TIME.search(block) or (b"\\" in block and _HIDDEN_CHARACTER.search(block)))


# -- one line, exactly -------------------------------------------------------------------------------------------------


def _compile_line_reader(
    conform: Callable[[Any], Any] | None,
    check_keys: Callable[[Record], list[str]],
    judge: Callable[[Record], list[str]] | None,
    read_dates: Callable[[Record], None] | None,
) -> Callable[[bytes], Envelope]:
    """Give the function that reads one line as far as it can be read, and says all that is wrong with it."""
    decode = msgspec.json.Decoder(RecordLine[dict[str, Any]], float_hook=_read_exactly).decode

    def read(line: bytes) -> Envelope:
        try:
            envelope = decode(line)
        except _UNREADABLE:
            envelope = _read_slowly(line)
        record = envelope.record
        if conform:
            conform(record)
        missing = check_keys(record)
        broken = judge(record) if judge else []
        if missing:
            raise Rejected("the record lacks a key property", [*missing, *broken], key=True)
        if broken:
            raise Rejected("the record breaks its schema", broken)
        if read_dates:
            read_dates(record)
        return envelope

    def read_within_limits(line: bytes) -> Envelope:
        try:
            return read(line)
        except RecursionError:
            raise Rejected("the record is nested too deeply") from None
        except ArithmeticError:
            raise Rejected(f"the record holds a number of more than {MAX_DIGITS} digits") from None

    return read_within_limits


def _read_slowly(line: bytes) -> Envelope:
    """Read what msgspec refuses: the standard library takes lone surrogates, and tells what is wrong otherwise."""
    try:
        message = json.loads(line.decode(), parse_float=_read_exactly, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Rejected(f"the line is not UTF-8 (byte {error.start})", malformed=True) from None
    except json.JSONDecodeError as error:
        reason = error.msg.partition(":")[0]
        raise Rejected(f"the line is not JSON: {reason} (character {error.pos})", malformed=True) from None
    except ValueError:  # from int(): the interpreter's own limit
        raise Rejected(f"the record holds a number of more than {MAX_DIGITS} digits") from None
    return _envelope_of(message)


def _refuse_constant(name: str) -> NoReturn:
    raise Rejected(f"the line is not JSON: {name} is no JSON number", malformed=True)


def _envelope_of(message: Any) -> Envelope:
    if not isinstance(message, dict) or str(message.get("type")).upper() != "RECORD":  # few taps write it otherwise
        raise Rejected("the line is no RECORD message", malformed=True)
    record, version, extracted = (message.get(name) for name in ("record", "version", "time_extracted"))
    if not isinstance(record, dict):
        raise Rejected("the RECORD message has no object named 'record'", malformed=True)
    if type(version) not in (int, type(None)):
        raise Rejected("the RECORD message's version is no integer", malformed=True)
    if not isinstance(extracted, (str, type(None))):
        raise Rejected("the RECORD message's time_extracted is no text", malformed=True)
    return RecordLine(type="RECORD", record=record, version=version, time_extracted=extracted)


def _compile_key_check(key_properties: Sequence[str]) -> Callable[[Record], list[str]]:
    """Give the function that says of each key property that a record lacks whether it is null or absent."""

    def missing(record: Record) -> list[str]:
        lacking = []
        for name in key_properties:
            if record.get(name) is None:
                found = "null" if name in record else "nothing"
                lacking.append(f"{pointer_of([name])}: key property: expected a value, found {found}")
        return lacking

    return missing
