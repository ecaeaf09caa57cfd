"""What comes out: a mapper stands where a tap would, so its messages obey the rules for those of taps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import singerkit_testing.tap_rules  # noqa: F401 - fills the list that the rules are taken from
from singerkit_testing.rules import Finding, Severity, hold_mappers_to, mapper_rule
from singerkit_testing.structured_logs import REMEDY, SOURCE, TITLE, structured_logging, unstructured
from singerkit_testing.wire import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.mapper_lab import MapperLab

_FRAMING = ("TAP-001", "TAP-002", "TAP-003", "TAP-004", "TAP-005", "TAP-006", "TAP-007")
_MESSAGES = ("TAP-020", "TAP-021", "TAP-023", "TAP-024", "TAP-025", "TAP-026", "TAP-027", "TAP-028", "TAP-029")
_SCHEMAS = ("TAP-032", "TAP-033", "TAP-040", "TAP-041", "TAP-042", "TAP-043", "TAP-046", "TAP-048")
_EXTRAS = ("EXT-001", "EXT-002", "EXT-005")

for _id in (*_FRAMING, *_MESSAGES, *_SCHEMAS, *_EXTRAS):
    hold_mappers_to(_id)


@mapper_rule(
    "EXT-012a",
    "a valid stream of messages is taken",
    severity=Severity.MUST,
    source="Meltano SDK, inline mappers (an extension): they filter what is between a tap and a target",
    remedy="Let pass what the mapper has nothing to do with: streams, properties and types of messages.",
)
def a_valid_input_is_taken(mapper: MapperLab) -> Iterator[Finding]:
    """Two streams that alternate, a schema that grows, versions, states: exit code 0, and the last line is whole."""
    run = mapper.full
    if not run.ok:
        yield Finding(f"a valid input was not taken: {run.ending()}")
    lines = run.transcript.lines
    if lines and not run.cut and lines[-1].problem(Flaw.NO_LINE_FEED):
        yield Finding("stdout ends within a line", lines[-1])


@mapper_rule(
    "EXT-011", TITLE, severity=Severity.SHOULD, source=SOURCE, remedy=REMEDY, needs=["about", "structured_logging"]
)
def logs_are_structured(mapper: MapperLab) -> Iterator[Finding]:
    """Look at the log of a run over valid messages, and of one over a line that is no JSON."""
    with structured_logging() as environment:
        good = mapper.run(stdin=b'{"type":"STATE","value":{}}\n', environment=environment)
        failed = mapper.run(stdin=b"nope\n", environment=environment)
    yield from unstructured(good, failed)
