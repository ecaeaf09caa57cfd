"""How the process behaves: signals, closed pipes, full disks; and what must not depend on how the input is divided."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from singerkit_testing.messages import ID, TEXT, Message, Sent, record, schema, state
from singerkit_testing.outcomes import lost
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_lab import case
from singerkit_testing.target_rules.framing import few
from singerkit_testing.target_rules.states import BATCH, bookmarks, unkept
from singerkit_testing.target_series import register_series, series_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import TargetLab

_GRACE_S = 10.0
_LOSSLESS = "RUNNING_AND_DEVELOPING.md, Targets; taps send again what was not confirmed"
_FORM = {"id": ID, "name": TEXT}
_SMALL_DISK = ("/bin/sh", "-c", 'ulimit -f 64 && exec "$@"', "sh")


def _long(stream: str, count: int, name: str = "name") -> list[Sent]:
    messages: list[Sent] = [schema(stream, _FORM, ["id"])]
    for number in range(1, count + 1):
        messages.append(record(stream, id=number, name=f"{name} {number}"))
        if number % 3 == 0:
            messages.append(state(bookmarks(**{stream: number})))
    return messages


@target_rule(
    "TGT-140",
    "a signal ends the run soon, and no state is ahead of the data",
    severity=Severity.SHOULD,
    source="POSIX: SIGTERM asks to end, SIGINT is Ctrl-C; an exit code 0 means that all was loaded",
    remedy="On SIGTERM and SIGINT store or drop what waits, release only what is stored, and exit with 128 + signal.",
)
def a_signal_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Send records, leave the input open, and signal."""
    for number in (signal.SIGTERM, signal.SIGINT):
        place = target.fresh()
        messages = _long("stopped", 3 * BATCH + 3)  # the last records and their state wait for a batch to be full
        with place.start(settings=target.batches_of(BATCH)) as running:
            running.write(place.input_of(messages))
            running.wait_drained()
            running.wait_quiet(0.2)
            running.signal(number)
            ended = running.wait_exit(_GRACE_S)
            running.kill()
            load = place.finish(running, messages)
        if not ended:
            yield Finding(f"still running {_GRACE_S:.0f} s after {number.name}")
        elif load.exit_code == 0:
            yield Finding(f"exit code 0 after {number.name}, though the input had not ended")
        if target.reader is not None:
            yield from _as_must(unkept(load, load.states))


def _as_must(findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield Finding(finding.message, finding.evidence, finding.stream, Severity.MUST)


@target_rule(
    "TGT-141",
    "a closed stdout ends the run with an error",
    severity=Severity.MUST,
    source="POSIX: writing to a closed pipe fails; a state that nobody got was not released",
    remedy="Let the broken pipe end the process with another exit code than 0.",
)
def a_closed_stdout_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Close the other end of stdout before the first state."""
    place = target.fresh()
    messages = _long("unheard", 9)
    with place.start(timeout_s=30) as running:
        running.close_stdout()
        running.wait_until(lambda: running.stdout_closed, 5)
        running.write(place.input_of(messages))
        running.close_stdin()
        ended = running.wait_exit(_GRACE_S)
        running.kill()
        load = place.finish(running, messages)
    if not ended:
        yield Finding(f"still running {_GRACE_S:.0f} s after its stdout was closed")
    elif load.exit_code == 0:
        yield Finding("exit code 0 although no state could be written", load.last_words())


@target_rule(
    "TGT-142",
    "a destination that can't be written to ends the run with an error, and no state is released",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Let every error of the destination end the run; release a state only after the write succeeded.",
)
def a_broken_destination_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Put a file in the place of the destination's folder, then let the disk be full after 32 KiB."""
    if "{workdir}" not in str(target.config):
        raise NotApplicable("the config does not say {workdir}, so the destination can't be broken from here")
    place = target.fresh()
    place.folder.rmdir()
    place.folder.write_text("not a folder")
    load = place.load(_long("homeless", 9))
    if load.ok:
        yield Finding("exit code 0 although the folder of the destination was a file")
    if load.states:
        yield Finding("a state was released although the folder of the destination was a file", load.stdout)
    yield from _full_disk(target)


def _full_disk(target: TargetLab) -> Iterator[Finding]:
    place = target.fresh()
    messages = _long("spilled", 300, "x" * 1000)
    load = place.load(messages, settings=target.batches_of(50), launcher=_SMALL_DISK)
    if load.ok:
        if target.reader is not None:
            yield from lost(target, place, messages, "spilled")
    elif target.reader is not None:
        yield from unkept(load, load.states)


@target_rule(
    "TGT-143",
    "a failed run leaves nothing that breaks the next one",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Use temporary names of one run only, and clean up or take over what an earlier run left.",
)
def a_failed_run_does_not_break_the_next(target: TargetLab) -> Iterator[Finding]:
    """Load a stream that ends in the middle of a line, then one run that is killed, then the whole stream."""
    messages = _long("again", 9)
    place = target.fresh()
    place.load([*messages[:5], b'{"type":"RECO'], settings=target.batches_of(BATCH))
    with place.start(settings=target.batches_of(2)) as running:
        running.write(place.input_of(messages[:8]))
        running.wait_drained()
        running.wait_quiet(0.2)
        running.kill()
        place.finish(running)
    load = place.load(messages)
    if not load.ok:
        yield Finding(f"the run after a failed one fails: {load.ending()}", stream="again")
    else:
        yield from lost(target, place, messages, "again", at_least=target.load_method == "append")


def _replayed() -> list[list[Sent]]:
    messages: list[Sent] = [
        *few("replayed"),
        schema("repeated", {"name": TEXT}, []),
        record("repeated", name="one"),
        record("repeated", name="two"),
        state({"n": 1}),
    ]
    return [messages, messages]


register_series("replayed", _replayed)


@target_rule(
    "TGT-144",
    "the same input again changes no row that has a key",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Find rows by their key also when an earlier run stored them.",
    needs=["reader"],
)
def the_same_input_again(target: TargetLab) -> Iterator[Finding]:
    """Load a stream with keys and one without, twice."""
    done = series_of(target, "replayed")
    if not done.ok:
        yield Finding(f"the same input again fails: {done.failure}")
        return
    sent = done.sent if target.load_method != "overwrite" else done.parts[-1]
    for stream in ("replayed", "repeated"):
        yield from lost(target, done.place, sent, stream)


def _interleaved(*streams: str) -> list[Message]:
    messages = [schema(stream, _FORM, ["id"]) for stream in streams]
    for number in range(1, 10):
        messages += [record(stream, id=number, name=f"{stream} {number}") for stream in streams]
        messages.append(record(streams[number % len(streams)], id=1, name=f"changed {number}"))
    return messages


@case("interleaved")
def _interleaved_case() -> Iterator[Message]:
    yield from _interleaved("turn_a", "turn_b", "turn_c")


@target_rule(
    "TGT-145",
    "streams may come in turns",
    severity=Severity.MUST,
    source="SPEC.md: messages of several streams may alternate",
    remedy="Keep a batch for each stream; another stream's record does not end it.",
    needs=["reader"],
)
def streams_may_come_in_turns(target: TargetLab) -> Iterator[Finding]:
    """Load three streams, record by record in turns."""
    shared = target.shared("interleaved")
    if not shared.ok:
        yield Finding(f"streams in turns are refused: {shared.load.ending()}")
        return
    for stream in shared.streams:
        yield from lost(target, shared.load.destination, shared.sent, stream)


@target_rule(
    "TGT-146",
    "the size of batches changes nothing",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Look at what a batch boundary does: names of files, first and last rows, keys in two batches.",
    needs=["reader", "batch_size"],
)
def the_size_of_batches_changes_nothing(target: TargetLab) -> Iterator[Finding]:
    """Load the same streams in batches of 1, 2, 7 and 1000."""
    messages = _interleaved("sized_a", "sized_b")
    for rows in (1, 2, 7, 1000):
        load = target.load(messages, settings=target.batches_of(rows))
        if not load.ok:
            yield Finding(f"batches of {rows} fail: {load.ending()}")
            continue
        for stream in ("sized_a", "sized_b"):
            for finding in lost(target, load.destination, messages, stream):
                yield Finding(f"in batches of {rows}: {finding.message}", stream=stream)


def _divided() -> list[list[Sent]]:
    first, *rest = _long("divided", 9)
    facts = [schema("divided_facts", {"name": TEXT}, []), record("divided_facts", name="the same")]
    return [[first, *part, *facts] for part in (rest[:4], rest[4:8], rest[8:])]


register_series("divided", _divided)


@target_rule(
    "TGT-147",
    "a stream may be divided into runs anywhere",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Add to what earlier runs stored; never empty a table because a run begins.",
    needs=["reader"],
)
def a_stream_may_be_divided(target: TargetLab) -> Iterator[Finding]:
    """Load a stream in three runs."""
    if target.load_method == "overwrite":
        raise NotApplicable("the target overwrites in each run")
    done = series_of(target, "divided")
    if not done.ok:
        yield Finding(f"a later part of a stream fails: {done.failure}", stream="divided")
        return
    for stream in ("divided", "divided_facts"):
        yield from lost(target, done.place, done.sent, stream)
