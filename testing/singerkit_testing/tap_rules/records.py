"""Records against their schemas, their keys, and what the person knows about the source."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit_testing.date_times import compile_date_times, date_time_flaw
from singerkit_testing.json_schemas import Check, compile_check
from singerkit_testing.rows import row_identity, rows_of
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.values import equal, identity, instant_of, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.transcript import Message

# Validation in Python is slow: of a longer stream so many records are taken, evenly spread.
MOST_VALIDATED = 20_000


class Record(NamedTuple):
    """A RECORD and the SCHEMA in force."""

    message: Message
    schema: Message


def _records(tap: TapLab, stream: str) -> list[Record]:
    """List a stream's records that have a schema before them, thinned out if they are very many."""
    messages = tap.full.transcript.records_of(stream)
    step = len(messages) // MOST_VALIDATED + 1
    paired = ((message, tap.full.transcript.schema_before(message)) for message in messages[::step])
    return [Record(message, schema) for message, schema in paired if schema is not None]


class _Group:
    """Findings of one kind: the first message that shows it, and how many do."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], tuple[Message, Severity | None]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._texts: dict[tuple[str, str], str] = {}

    def add(self, message: Message, kind: str, text: str, severity: Severity | None = None) -> None:
        """Note a breach; those of the same stream and kind are one finding."""
        key = (str(message.stream), kind)
        self._counts[key] += 1
        self._texts.setdefault(key, text)
        self._examples.setdefault(key, (message, severity))

    def findings(self) -> Iterator[Finding]:
        """Give one finding for each kind."""
        for key, (message, severity) in self._examples.items():
            more = f" ({self._counts[key]} records)" if self._counts[key] > 1 else ""
            yield Finding(f"line {message.number}: {self._texts[key]}{more}", message, key[0], severity)


@tap_rule(
    "TAP-041",
    "every RECORD is valid by the last SCHEMA of its stream before it",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md: the schema describes the records",
    remedy="Bring values to the types of the schema, or widen the schema to what the source really has.",
)
def records_are_valid(tap: TapLab) -> Iterator[Finding]:
    """By one of the drafts, formats aside; findings are grouped by stream and path."""
    group = _Group()
    for stream in tap.full.transcript.streams:
        checks: dict[int, Check] = {}
        for message, schema in _records(tap, stream):
            if schema.number not in checks:
                checks[schema.number] = compile_check(schema.schema)
            for violation in checks[schema.number](message.record):
                group.add(message, violation.path, f"{violation.path or 'the record'}: {violation.text}")
    yield from group.findings()


@tap_rule(
    "TAP-042",
    "a record has no property that its schema lacks",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md, schemas; targets drop such values without a word",
    remedy="Add the property to the schema, or leave it out of the records.",
)
def no_undeclared_properties(tap: TapLab) -> Iterator[Finding]:
    """At the top level, where additionalProperties and patternProperties say nothing."""
    group = _Group()
    for stream in tap.full.transcript.streams:
        for message, schema in _records(tap, stream):
            is_open = schema.schema.get("additionalProperties") or schema.schema.get("patternProperties")
            if not is_open and schema.properties:
                for name in message.record.keys() - schema.properties.keys():
                    group.add(message, name, f"{name} is not in the schema")
    yield from group.findings()


@tap_rule(
    "TAP-043",
    "every key property is in every record, and not null",
    severity=Severity.MUST,
    source="follows from SPEC.md, SCHEMA: they identify a record",
    remedy="Choose keys that every row has, or declare none; mind keys such as 0 and the empty text.",
)
def keys_are_present(tap: TapLab) -> Iterator[Finding]:
    """Keys that are false in a boolean sense are fine."""
    group = _Group()
    for message in tap.full.transcript.records:
        schema = tap.full.transcript.schema_before(message)
        for key in schema.key_properties if schema is not None else ():
            if message.record.get(key) is None:
                how = "null" if key in message.record else "missing"
                group.add(message, key, f"the key property {key} is {how}")
    yield from group.findings()


@tap_rule(
    "TAP-044",
    "in a full table no two records have the same key",
    severity=Severity.MUST,
    source="follows from SPEC.md, SCHEMA: key properties are a primary key",
    remedy="Declare all properties that make up the key; mind pages that overlap.",
)
def keys_are_unique(tap: TapLab) -> Iterator[Finding]:
    """Streams that are not read incrementally; where the method is not known it is only worth knowing."""
    for stream in tap.full.transcript.streams:
        method, keys = tap.method(stream), tap.key_properties(stream)
        if not keys or method not in ("FULL_TABLE", None):
            continue
        messages = tap.full.transcript.records_of(stream)
        counted = Counter(row_identity(message.record, keys) for message in messages)
        twice = [message for message in messages if counted[row_identity(message.record, keys)] > 1]
        if twice:
            number = len([count for count in counted.values() if count > 1])
            severity = None if method else Severity.INFO
            text = f"{number} keys ({', '.join(keys)}) occur more than once"
            yield Finding(text, twice[0], stream, severity)


@tap_rule(
    "TAP-045",
    "date-times are RFC 3339 with an offset, at any depth",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md and BEST_PRACTICES.md, dates; RFC 3339",
    remedy="Write instants with their offset, best in UTC: 2024-02-29T12:00:00Z. Without one, drop the format.",
)
def date_times_have_an_offset(tap: TapLab) -> Iterator[Finding]:
    """Texts whose schema has the format date-time, in objects, lists and unions."""
    group = _Group()
    for stream in tap.full.transcript.streams:
        compiled: dict[int, Callable[[Any], Iterator[tuple[str, str]]] | None] = {}
        for message, schema in _records(tap, stream):
            if schema.number not in compiled:
                compiled[schema.number] = compile_date_times(schema.schema)
            values = compiled[schema.number]
            for path, text in values(message.record) if values is not None else ():
                flaw = date_time_flaw(text)
                if flaw:
                    group.add(message, f"{path} {flaw}", f"{path}: {text[:60]!r}: {flaw}")
    yield from group.findings()


class Pair(NamedTuple):
    """An expected record and what came instead; None if nothing did."""

    stream: str
    expected: dict[str, Any]
    found: Message | None


def _pairs(tap: TapLab) -> list[Pair]:
    expected = tap.expect.records if tap.expect is not None else {}
    if not expected:
        raise NotApplicable("no records are expected of the tap (expect.records)")
    return [pair for stream, records in expected.items() for pair in _paired(tap, stream, list(map(dict, records)))]


def _paired(tap: TapLab, stream: str, expected: list[dict[str, Any]]) -> Iterator[Pair]:
    keys = tap.key_properties(stream)
    waiting: dict[Any, list[Message]] = {}
    for message in tap.full.transcript.records_of(stream):
        waiting.setdefault(_pair_key(message.record, keys), []).append(message)
    for record in expected:
        found = waiting.get(_pair_key(record, keys), [])
        yield Pair(stream, record, found.pop(0) if found else None)


def _pair_key(record: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return tuple(_comparable(record.get(key)) for key in keys or sorted(record))


def _comparable(value: Any) -> Any:
    number = None if isinstance(value, str) else number_of(value)
    if number is not None:
        return number
    return instant_of(value) or value if isinstance(value, str) else identity(value)


@tap_rule(
    "TAP-047",
    "numbers survive: long integers and decimals arrive with all their digits",
    severity=Severity.MUST,
    source="follows from DISCOVERY_MODE.md: records are the source's rows",
    remedy="Read numbers as int and Decimal, never as float, and write them digit by digit.",
    needs=["expect"],
)
def numbers_survive(tap: TapLab) -> Iterator[Finding]:
    """Compare with the expected records, exactly."""
    for pair in _pairs(tap):
        for path, expected, found in _differences(pair):
            if _is_number(expected) and _is_number(found) and number_of(expected) != number_of(found):
                yield Finding(f"{path}: {expected} became {found}", pair.found, pair.stream)


@tap_rule(
    "TAP-050",
    "streams that have rows give records, and all of them",
    severity=Severity.MUST,
    source="SYNC_MODE.md: selected streams are sent",
    remedy="Look for pages that are skipped, filters that are too narrow, errors that are swallowed.",
    needs=["expect"],
)
def streams_are_not_empty(tap: TapLab) -> Iterator[Finding]:
    """`expect.non_empty`, `expect.streams` and, for each record, `expect.records`."""
    if tap.expect is None:
        raise NotApplicable("nothing is expected of the tap")
    known = {*tap.streams, *tap.full.transcript.streams}
    for stream in tap.expect.streams:
        if stream not in known:
            yield Finding(f"there is no stream {stream!r}", stream=stream)
    sent = {row.stream for row in rows_of(tap.full.transcript)}
    for stream in {*tap.expect.non_empty, *(name for name, rows in tap.expect.records.items() if rows)}:
        if stream not in sent:
            yield Finding(f"no record of {stream!r}", stream=stream)
    yield from _not_as_expected(tap)


def _not_as_expected(tap: TapLab) -> Iterator[Finding]:
    pairs = _pairs(tap) if tap.expect is not None and tap.expect.records else []
    for pair in pairs:
        if pair.found is None and tap.full.transcript.records_of(pair.stream):
            yield Finding("an expected record is missing", pair.expected, pair.stream)
    for stream, records in (tap.expect.records if tap.expect is not None else {}).items():
        surplus = len(tap.full.transcript.records_of(stream)) - len(records)
        if surplus > 0 and tap.method(stream) == "FULL_TABLE":
            yield Finding(f"{surplus} more records than the {len(records)} expected", stream=stream)


@tap_rule(
    "TAP-051",
    "values arrive as they are: no empty text becomes null, no text a number",
    severity=Severity.MUST,
    source="follows from DISCOVERY_MODE.md: records are the source's rows",
    remedy="Convert a value only if nothing is lost by it; declare a type that the source's values really have.",
    needs=["expect"],
)
def values_are_not_coerced(tap: TapLab) -> Iterator[Finding]:
    """Compare with the expected records; numbers that lost digits are TAP-047's."""
    for pair in _pairs(tap):
        for path, expected, found in _differences(pair):
            if not (_is_number(expected) and _is_number(found)):
                yield Finding(f"{path}: {expected!r} became {found!r}", pair.found, pair.stream)


def _differences(pair: Pair) -> Iterator[tuple[str, Any, Any]]:
    if pair.found is not None:
        for name, value in pair.expected.items():
            yield from _compared(name, value, pair.found.record.get(name))


def _compared(path: str, expected: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from _compared(f"{path}/{name}", value, found.get(name))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for first, second in zip(expected, found, strict=True):
            yield from _compared(f"{path}/[]", first, second)
    elif not equal(expected, found):
        yield path, expected, found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
