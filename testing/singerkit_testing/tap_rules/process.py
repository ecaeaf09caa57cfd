"""The tap as a process: exit codes, signals, pipes, logs, files."""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

from singerkit_testing.process import Stdin
from singerkit_testing.rows import by_stream, contents, missing, sent, show, unsteady, volatile
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.wire import Flaw, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from singerkit_testing.tap_lab import TapLab, TapRun

GRACE_S = 5.0
LARGE_OUTPUT_BYTES = 2**20
MUCH_MEMORY_BYTES = 200 * 2**20
SHORTEST_SECRET = 5
_FATAL = re.compile(r"\b(CRITICAL|FATAL)\b", re.IGNORECASE)
_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
FOREIGN = {"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1", "PYTHONUTF8": "0"}


@tap_rule(
    "TAP-008",
    "the exit code tells success from failure",
    severity=Severity.MUST,
    source="SPEC.md, Output: exit 0 on success, non-zero on failure",
    remedy="End with exit code 0 only when everything was read; let exceptions end the process with another.",
)
def exit_code_tells_success(tap: TapLab) -> Iterator[Finding]:
    """With the good config, and with each broken one."""
    if not tap.full.ok:
        yield Finding(f"a full sync did not succeed: {tap.full.ending()}")
    for config, run in tap.broken:
        if run.exit_code == 0:
            yield Finding("exit code 0 with a config that can't work", f"settings changed: {_changed(tap, config)}")


def _changed(tap: TapLab, config: Mapping[str, Any]) -> str:
    own = tap.config or {}
    return ", ".join(sorted(name for name in {*own, *config} if own.get(name) != config.get(name)))


@tap_rule(
    "TAP-009",
    "a selected stream that fails makes the run fail",
    severity=Severity.MUST,
    source="SPEC.md, Output; CONFIG_AND_STATE.md, State",
    remedy="Go on with other streams if you like, but end with a non-zero exit code.",
    needs=["broken_config"],
)
def a_failed_stream_fails_the_run(tap: TapLab) -> Iterator[Finding]:
    """Broken configs with which some streams can still be read."""
    for config, run in tap.broken:
        failed = [name for name in tap.full.transcript.streams if _gives_less(tap, run, name)]
        if run.exit_code == 0 and failed and run.transcript.messages:
            text = f"exit code 0, but these streams have not been read: {', '.join(failed)}"
            yield Finding(text, f"settings changed: {_changed(tap, config)}", failed[0])


def _gives_less(tap: TapLab, run: TapRun, stream: str) -> bool:
    return bool(tap.full.transcript.records_of(stream)) and not run.transcript.records_of(stream)


@tap_rule(
    "TAP-011",
    "the error that ends a run is logged as critical",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md, Logging",
    remedy="Log the last error with the level CRITICAL before the process ends.",
)
def last_error_is_critical(tap: TapLab) -> Iterator[Finding]:
    """Look into the logs of runs that fail."""
    failed = [run for run in (tap.refused_state, *(run for _, run in tap.broken)) if run.exit_code > 0]
    if not failed:
        raise NotApplicable("no run has failed")
    for run in failed:
        if not _FATAL.search(run.errors):
            yield Finding("a run failed without an error logged as critical", run.last_words())
            return


@tap_rule(
    "TAP-012",
    "no secret is in the log or in the output",
    severity=Severity.MUST,
    source="BEST_PRACTICES.md, Logging: no credentials",
    remedy="Never log the config as a whole; mask secret settings wherever they could come up, in URLs and errors too.",
)
def secrets_stay_secret(tap: TapLab) -> Iterator[Finding]:
    """Look for the config's own secrets in a full sync, and for planted ones in a run that may well fail."""
    names = secret_settings(tap)
    planted = {name: f"canary-{index}-zQ7xW2" for index, name in enumerate(sorted(names), start=1)}
    if not planted:
        raise NotApplicable("the tap has no secret settings that one could tell from outside")
    real = {name: value for name in names if isinstance(value := (tap.config or {}).get(name), str)}
    runs = [(real, tap.full), (real, tap.discovery)]
    with_canaries = {**(tap.config or {}), **planted}
    runs.append((planted, tap.run(config=with_canaries, catalog=tap.everything_selected)))
    for secrets, run in runs:
        yield from _leaks(secrets, run)


def _leaks(secrets: Mapping[str, str], run: TapRun) -> Iterator[Finding]:
    for name, value in secrets.items():
        for where, text in (("log", run.stderr), ("output", run.stdout)):
            if len(value) >= SHORTEST_SECRET and value.encode() in text:
                yield Finding(f"the secret setting {name} is in the {where}, in plain text")


def secret_settings(tap: TapLab) -> set[str]:
    """Name the secret settings at the top level: declared as such, or with a name that says so."""
    declared = {
        name
        for name, schema in tap.settings.items()
        if isinstance(schema, dict) and (schema.get("secret") or schema.get("writeOnly"))
    }
    texts = {name for name, value in (tap.config or {}).items() if isinstance(value, str)}
    return declared | {name for name in texts | set(tap.settings) if _SECRET_NAME.search(name) and _is_text(tap, name)}


def _is_text(tap: TapLab, name: str) -> bool:
    kinds = tap.settings.get(name, {}).get("type", "string") if isinstance(tap.settings.get(name), dict) else "string"
    return "string" in kinds


@tap_rule(
    "TAP-013",
    "messages come as they are read, not all at the end",
    severity=Severity.INFO,
    source="BEST_PRACTICES.md, memory",
    remedy="Write each record when it is read; keep no stream in memory.",
)
def messages_are_streamed(tap: TapLab) -> Iterator[Finding]:
    """Only outputs of more than a megabyte say something; memory is compared with that of discovery."""
    run = tap.synced
    if len(run.stdout) < LARGE_OUTPUT_BYTES or run.first_output_s is None:
        raise NotApplicable("the output is too small to tell")
    if run.first_output_s > 0.9 * run.seconds:
        yield Finding(f"the first byte came after {run.first_output_s:.1f} s of {run.seconds:.1f} s")
    # Linux counts what the harness itself held when it started the tap; below that nothing can be said.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    more = run.peak_memory_bytes - max(own, tap.discovery.peak_memory_bytes)
    if more > MUCH_MEMORY_BYTES and more > 4 * len(run.stdout):
        output, taken = len(run.stdout) // 2**20, more // 2**20
        yield Finding(f"the sync took {taken} MiB of memory more than discovery, for {output} MiB of output")


@tap_rule(
    "TAP-014",
    "when its reader has gone, the tap ends",
    severity=Severity.MUST,
    source="follows from SPEC.md: taps are piped into targets, and targets fail",
    remedy="Let the broken pipe end the process; don't try again.",
)
def a_broken_pipe_ends_the_tap(tap: TapLab) -> Iterator[Finding]:
    """Stdout is closed at the first bytes."""
    if not tap.full.stdout:
        raise NotApplicable("the tap writes nothing")
    with tap.start_sync() as running:
        running.close_stdout()
        if not running.wait_exit(tap.synced.seconds * 2 + GRACE_S):
            yield Finding(f"still running {GRACE_S:.0f} s after the time of a whole run, with its stdout closed")


@tap_rule(
    "TAP-015",
    "on SIGTERM the tap ends soon, with whole lines",
    severity=Severity.INFO,
    source="custom: schedulers end runs this way",
    remedy="Stop after the current message, flush, exit non-zero.",
)
def a_signal_ends_the_tap(tap: TapLab) -> Iterator[Finding]:
    """Signalled after half of the output."""
    if not tap.synced.stdout:
        raise NotApplicable("the tap writes nothing")
    half = max(1, len(tap.synced.stdout) // 2)
    with tap.start_sync(pause_after_bytes=half) as running:
        running.wait_until(lambda: len(running.stdout) >= half, tap.timeout_s)
        if not running.is_running:
            raise NotApplicable("the tap was done before it could be signalled")
        running.signal(signal.SIGTERM)
        running.resume_output()
        if not running.wait_exit(GRACE_S):
            yield Finding(f"still running {GRACE_S:.0f} s after SIGTERM", severity=Severity.SHOULD)
            return
        outcome = running.finish()
    if outcome.stdout and not outcome.stdout.endswith(b"\n"):
        yield Finding("stdout ends within a line after SIGTERM", outcome.stdout[-200:])
    if outcome.exit_code == 0 and len(outcome.stdout) < len(tap.synced.stdout) * 0.9:
        yield Finding("exit code 0 after SIGTERM, though not everything was sent")


@tap_rule(
    "TAP-016",
    "two syncs of the same source give the same records",
    severity=Severity.MUST,
    source="follows from CONFIG_AND_STATE.md: rows must not depend on luck",
    remedy="Page by an order that does not change; don't drop or double rows at the borders of pages.",
)
def syncs_are_repeatable(tap: TapLab) -> Iterator[Finding]:
    """Rows by key, or by value without one; properties that only differ are listed as a lesser evil."""
    first, second = sent(tap, tap.synced), sent(tap, tap.again)
    if not tap.again.ok:
        yield Finding(f"the second sync failed: {tap.again.ending()}")
        return
    for text, lost in (
        ("only the first", missing(tap, first, second)),
        ("only the second", missing(tap, second, first)),
    ):
        for stream, rows in by_stream(lost).items():
            keyed = bool(tap.key_properties(stream))
            unsure = not keyed and sum(first.values()) == sum(second.values())
            severity = Severity.SHOULD if unsure else None
            yield Finding(f"{text} of two syncs has {len(rows)} rows: {show(rows)}", "", stream, severity)
    for stream, name in sorted(volatile(tap)):
        text = f"the same record has another {name} in the second sync"
        yield Finding(text, stream=stream, severity=Severity.SHOULD)


@tap_rule(
    "TAP-017",
    "the records don't depend on locale, time zone or home folder",
    severity=Severity.SHOULD,
    source="follows from SPEC.md, Output: UTF-8, and DISCOVERY_MODE.md, dates",
    remedy="Name encodings and time zones wherever text or times are read.",
)
def records_do_not_depend_on_the_environment(tap: TapLab) -> Iterator[Finding]:
    """LC_ALL=C, a time zone fourteen hours ahead, and no HOME."""
    _ = tap.synced
    run = tap.run(catalog=tap.everything_selected, environment={**FOREIGN, "HOME": None})
    if not run.ok:
        with_home = tap.run(catalog=tap.everything_selected, environment=FOREIGN)
        severity = Severity.INFO if with_home.ok else None
        what = "without HOME" if with_home.ok else "in another locale and time zone"
        yield Finding(f"a sync {what} failed: {run.ending()}", severity=severity)
        run = with_home
    if run.ok:
        expected, found = contents(tap, tap.synced), contents(tap, run)
        differing = [row for row in (expected - found).elements() if row[0] not in unsteady(tap)]
        for stream, rows in by_stream(differing).items():
            text = f"in another locale and time zone {len(rows)} records differ: {show(rows, 1)}"
            yield Finding(text, stream=stream)


@tap_rule(
    "TAP-018",
    "the tap asks nothing on stdin",
    severity=Severity.MUST,
    source="SPEC.md, Synopsis: all input is in files",
    remedy="Take everything from the config; never read stdin.",
)
def nothing_is_asked(tap: TapLab) -> Iterator[Finding]:
    """Stdin at its end, closed, or open and silent."""
    if not tap.full.ok:
        answered = tap.run(catalog=tap.everything_selected, stdin=b"yes\n" * 100)
        if answered.ok:
            yield Finding("the sync only succeeds when lines with yes are on stdin", tap.full.last_words())
            return
    _ = tap.synced
    closed = tap.run(catalog=tap.everything_selected, stdin=Stdin.CLOSED)
    if not closed.ok:
        text = f"with stdin closed the sync failed: {closed.ending()}"
        yield Finding(text, severity=Severity.SHOULD)
    with tap.start(catalog=tap.everything_selected, stdin=Stdin.OPEN) as running:
        if not running.wait_exit(tap.full.seconds * 3 + GRACE_S):
            yield Finding("with an open and silent stdin the sync does not end: it waits for input")


@tap_rule(
    "TAP-019",
    "the tap leaves no files behind, and state and catalog as they are",
    severity=Severity.SHOULD,
    source="follows from SPEC.md, Config: only the config may be written back",
    remedy="Write temporary files to the system's folder for them, and remove them.",
)
def no_files_are_left(tap: TapLab) -> Iterator[Finding]:
    """Look at working folder and given files after a full sync, and after one with a state."""
    last = tap.synced.transcript.last_state
    runs = [tap.synced] if last is None else [tap.synced, tap.resumed(last.state)]
    for run in runs:
        left = sorted(str(path.relative_to(run.work)) for path in run.work.rglob("*") if path.is_file())
        batches = tuple(str(message.value) for message in run.transcript.batches)
        strangers = [name for name in left if not any(name in batch for batch in batches)]
        if strangers:
            yield Finding(f"files in the working folder: {', '.join(strangers[:5])}")
        if last is not None and run is not runs[0] and _read(run.folder / "state.json") != last.state:
            yield Finding("the state file was changed")
        if tap.everything_selected is not None and _read(run.folder / "catalog.json") != tap.everything_selected:
            yield Finding("the catalog file was changed")


def _read(path: Path) -> Any:
    try:
        return decode(path.read_bytes()).value
    except OSError:
        return None


@tap_rule(
    "TAP-082",
    "a config that is written back still has all that was in it",
    severity=Severity.MUST,
    source="SPEC.md, Config: the config may be changed and is written back",
    remedy="Read the file, change what is new, and replace it in one step; better, don't write it at all.",
)
def a_written_config_is_whole(tap: TapLab) -> Iterator[Finding]:
    """Look at the copy that the full sync was given."""
    path = tap.full.folder / "config.json"
    if tap.config is None or not path.exists():
        raise NotApplicable("the tap was given no config")
    now = decode(path.read_bytes())
    if not isinstance(now.value, dict) or any(problem.flaw is Flaw.NOT_JSON for problem in now.problems):
        yield Finding("the config file is no JSON object any more")
        return
    lost = sorted(set(json.loads(json.dumps(tap.config))) - now.value.keys())
    if lost:
        yield Finding(f"the config file has lost {', '.join(lost)}")
