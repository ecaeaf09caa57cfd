"""Values: a property that the mapper leaves alone comes out as it went in, whatever it holds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit_testing.mapper_input import columns, row
from singerkit_testing.messages import record
from singerkit_testing.rules import Finding, NotApplicable, Severity, mapper_rule
from singerkit_testing.values import equal, identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from singerkit_testing.mapper_lab import MapperLab
    from singerkit_testing.transcript import Transcript

_PLAIN, _ODD = "check_plain", "check_odd"
_VALUES: tuple[tuple[str, Any], ...] = (
    ("amount", Decimal("123456789.123456789012345678")),
    ("amount", Decimal("0.1")),
    ("amount", Decimal("-0.000000000000000000000000000001")),
    ("amount", 9007199254740993),
    ("amount", 0),
    ("amount", None),
    ("count", 9223372036854775807),
    ("count", -9223372036854775808),
    ("count", 0),
    ("count", None),
    ("flag", False),
    ("flag", None),
    ("text", ""),
    ("text", "naïve 日本語 😀"),
    ("text", "two\nlines, a tab\t, \u2028 and \\n"),
    ("text", "  blanks  "),
    ("text", "0123"),
    ("text", "null"),
    ("text", None),
    ("seen_at", "2024-02-29T23:59:59.123456+05:30"),
    ("seen_at", "0001-01-01T00:00:00Z"),
    ("seen_at", None),
    ("nested", {"amount": Decimal("123456789.123456789012345678"), "list": [9007199254740993]}),
    ("nested", {"amount": None, "list": []}),
    ("nested", {}),
    ("nested", None),
)


class _Case(NamedTuple):
    number: int
    name: str
    value: Any


# Each value under three numbers in a row, even and odd, as a mapper may leave some out.
_CASES = tuple(_Case(number, *_VALUES[(number - 1) // 3]) for number in range(1, 3 * len(_VALUES) + 1))


@mapper_rule(
    "EXT-012f",
    "a property that the mapper does not change keeps every value",
    severity=Severity.MUST,
    source="follows from SPEC.md, Output: JSON; RFC 8259: numbers have any number of digits",
    remedy="Parse numbers with a fraction as decimals, test for null with `is None`, and write what was read.",
)
def values_are_unharmed(mapper: MapperLab) -> Iterator[Finding]:
    """Beside each record with an odd value there is a plain one in another stream: it shows what the mapper changes."""
    _ = mapper.mapped
    messages = [columns(_PLAIN), columns(_ODD)]
    for case in _CASES:
        messages += [record(_PLAIN, row(case.number)), record(_ODD, row(case.number, **{case.name: case.value}))]
    run = mapper.map(messages)
    if not run.ok:
        yield Finding(f"records with unusual values were not taken: {run.ending()}")
        return
    plain, odd = _by_id(run.transcript, _PLAIN), _by_id(run.transcript, _ODD)
    if not plain:
        raise NotApplicable("the mapper leaves plain records out, or renames their stream or key")
    for case in _CASES:
        yield from _harm(case, plain.get(case.number, []), odd.get(case.number, []))


def _by_id(transcript: Transcript, stream: str) -> dict[Hashable, list[dict[str, Any]]]:
    found: dict[Hashable, list[dict[str, Any]]] = {}
    for message in transcript.records_of(stream):
        number = message.record.get("id")
        found.setdefault(number if isinstance(number, int) else None, []).append(message.record)
    return {number: records for number, records in found.items() if number is not None}


def _harm(case: _Case, plain: list[dict[str, Any]], odd: list[dict[str, Any]]) -> Iterator[Finding]:
    usual = row(case.number)[case.name]
    if not plain or any(identity(each.get(case.name)) != identity(usual) for each in plain):
        return  # the mapper leaves this one out, or changes the property: that is its business
    if len(odd) != len(plain):
        what = (
            f"a record whose {case.name} is {case.value!r} comes out {len(odd)} times, a plain one {len(plain)} times"
        )
        yield Finding(what, stream=_ODD)
    for each in odd:
        found = each.get(case.name)
        if identity(found) != identity(case.value) and not _same_moment(case, found):
            yield Finding(f"{case.name}: {case.value!r} came out as {found!r}", each, _ODD)


def _same_moment(case: _Case, found: Any) -> bool:
    return case.name == "seen_at" and equal(case.value, found)
