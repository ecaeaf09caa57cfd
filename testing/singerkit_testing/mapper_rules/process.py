"""The mapper as a process between two others: signals, closed pipes, and what waits while the input is open."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from singerkit_testing.mapper_input import ORDERS, columns, rows
from singerkit_testing.mapper_lab import input_of
from singerkit_testing.mapper_rules.framing import few
from singerkit_testing.messages import state
from singerkit_testing.rules import Finding, Severity, mapper_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.mapper_lab import MapperLab

_GRACE_S = 5.0
_PATIENCE_S = 3.0
# More than a pipe holds.
_MANY = 1500


@mapper_rule(
    "EXT-012l",
    "when its reader has gone, the mapper ends, and not with success",
    severity=Severity.MUST,
    source="TAP-014 and TGT-141: mappers are piped into targets, and targets fail",
    remedy="Let the broken pipe end the process.",
)
def a_broken_pipe_ends_the_mapper(mapper: MapperLab) -> Iterator[Finding]:
    """Close the other end of stdout before the first message, and send more than a pipe holds."""
    _ = mapper.mapped
    with mapper.start() as running:
        running.close_stdout()
        running.wait_until(lambda: running.stdout_closed, _GRACE_S)
        running.feed([input_of([columns(ORDERS), *rows(ORDERS, range(_MANY)), state({"n": 1})])])
        ended = running.wait_exit(mapper.full.seconds * 2 + _GRACE_S)
        running.kill()
        run = mapper.finish(running)
    if not ended:
        yield Finding(f"still running {_GRACE_S:.0f} s after its stdout was closed")
    elif run.exit_code == 0:
        yield Finding("exit code 0 although nothing could be written", run.last_words(), severity=Severity.SHOULD)


@mapper_rule(
    "EXT-012m",
    "on SIGTERM the mapper ends soon, with whole lines, and not with success",
    severity=Severity.SHOULD,
    source="TAP-015, custom: schedulers end runs this way",
    remedy="Stop after the current message, flush, exit non-zero.",
)
def a_signal_ends_the_mapper(mapper: MapperLab) -> Iterator[Finding]:
    """Signalled when it has read what there is, with its input still open."""
    _ = mapper.mapped
    with mapper.start() as running:
        running.write(input_of(few()))
        running.wait_drained()
        running.signal(signal.SIGTERM)
        ended = running.wait_exit(_GRACE_S)
        running.kill()
        run = mapper.finish(running)
    if not ended:
        yield Finding(f"still running {_GRACE_S:.0f} s after SIGTERM")
        return
    if run.stdout and not run.stdout.endswith(b"\n"):
        yield Finding("stdout ends within a line after SIGTERM", run.stdout[-200:], severity=Severity.INFO)
    if run.exit_code == 0:
        yield Finding("exit code 0 after SIGTERM, though the input had not ended", severity=Severity.INFO)


@mapper_rule(
    "EXT-012n",
    "a state comes out while the input is still open",
    severity=Severity.INFO,
    source="custom: a target that waits for states stores less often",
    remedy="Flush stdout after each STATE.",
)
def states_do_not_wait_for_the_end(mapper: MapperLab) -> Iterator[Finding]:
    """Send a few records and a state, and wait."""
    _ = mapper.mapped
    with mapper.start() as running:
        running.write(input_of(few()))
        if not running.wait_until(lambda: b'"STATE"' in running.stdout, mapper.full.seconds * 2 + _PATIENCE_S):
            yield Finding("a state was not written while the input was open")
