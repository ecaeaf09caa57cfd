"""The command line: options, their order, help and version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from singerkit_testing.folders import write_document
from singerkit_testing.rows import missing, sent, unsteady
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from singerkit_testing.process import Outcome
    from singerkit_testing.tap_lab import TapLab, TapRun

HELP_BUDGET_S = 10.0
_USAGE = re.compile(r"unrecognized argument|no such option|unknown option|unexpected argument|invalid option", re.I)


@tap_rule(
    "CLI-001",
    "the options --config, --state, --catalog and --discover are known",
    severity=Severity.MUST,
    source="SPEC.md, Synopsis; DISCOVERY_MODE.md",
    remedy="Take each with a file as its value; --discover takes none.",
)
def options_are_known(tap: TapLab) -> Iterator[Finding]:
    """Look for complaints about options in runs that the rules share."""
    last = tap.full.transcript.last_state
    runs = {
        "--config": tap.full,
        "--discover": tap.discovery,
        "--state": tap.resumed({} if last is None else last.state),
    }
    for option, run in runs.items():
        if run.exit_code != 0 and _USAGE.search(run.errors):
            yield Finding(f"{option} (with --catalog) is not accepted: {run.ending()}")
    if tap.ignores_catalog:
        yield Finding("--catalog has no effect: with everything selected nothing is sent, with --properties it is")


@tap_rule(
    "CLI-002",
    "the short options -c, -s and -d, and --properties for old catalogs, are known",
    severity=Severity.INFO,
    source="singer-python, parse_args",
    remedy="Add them as other names of the long options.",
)
def short_options_are_known(tap: TapLab) -> Iterator[Finding]:
    """Look into the help, and try."""
    if not tap.discovery.ok:
        raise NotApplicable("discovery failed")
    run = tap.run_with_words("-c", "{config}", "-d")
    if not run.ok:
        yield Finding(f"-c CONFIG -d: {run.ending()}")
    if tap.help.ok and "--properties" not in _text(tap.help):
        yield Finding("the help has no --properties")


def _text(run: Outcome) -> str:
    return (run.stdout + run.stderr).decode("utf-8", "replace")


@tap_rule(
    "CLI-008",
    "paths may be relative, and have spaces and letters beyond ASCII",
    severity=Severity.INFO,
    source="follows from SPEC.md, Synopsis",
    remedy="Open paths as they are given.",
)
def paths_may_be_unusual(tap: TapLab) -> Iterator[Finding]:
    """Discovery with the config at such a path."""
    if not tap.discovery.ok or tap.config is None:
        raise NotApplicable("there is no config, or discovery failed")
    run = tap.run_with_words("--config", "../a folder/ä ö.json", "--discover", prepare=_odd_config)
    if not run.ok:
        yield Finding(f"a config at a relative path with spaces is not read: {run.ending()}")


def _odd_config(folder: Path, config: bytes) -> None:
    (folder / "a folder").mkdir()
    write_document(folder / "a folder" / "ä ö.json", config)


@tap_rule(
    "CLI-009",
    "options may come in any order, and with = before the value",
    severity=Severity.MUST,
    source="follows from SPEC.md, Synopsis: callers differ",
    remedy="Use a parser for the command line.",
)
def order_of_options_does_not_matter(tap: TapLab) -> Iterator[Finding]:
    """Discovery, and a sync with all options, turned round."""
    if tap.config is None:
        raise NotApplicable("the tap has no config")
    plain, words = _turned_round(tap)
    if tap.discovery.ok:
        for discovery in (("--discover", "--config", "{config}"), ("--config={config}", "--discover")):
            run = tap.run_with_words(*discovery)
            if not run.ok:
                yield Finding(f"{' '.join(discovery)}: {run.ending()}")
    last = tap.synced.transcript.last_state
    run = tap.run_with_words(*words, state=None if last is None else last.state)
    if not run.ok:
        yield Finding(f"{' '.join(words)}: {run.ending()}")
    elif plain.ok and [row for row in missing(tap, sent(tap, plain), sent(tap, run)) if row[0] not in unsteady(tap)]:
        yield Finding(f"{' '.join(words)} gives other rows than the usual order")


def _turned_round(tap: TapLab) -> tuple[TapRun, list[str]]:
    last = tap.synced.transcript.last_state
    words = [] if last is None else ["--state={state}"]
    words += [] if tap.everything_selected is None else [f"{tap.catalog_option}={{catalog}}"]
    return tap.synced if last is None else tap.resumed(last.state), [*words, "--config={config}"]


@tap_rule(
    "CLI-010",
    "the option --help explains the others, and soon; unknown options are refused on stderr",
    severity=Severity.SHOULD,
    source="custom of command lines",
    remedy="Use a parser for the command line, and import what is slow only where it is needed.",
)
def help_is_helpful(tap: TapLab) -> Iterator[Finding]:
    """Exit code, --config in the help, the time it takes; --zz-unknown."""
    if not tap.help.ok or "--config" not in _text(tap.help):
        yield Finding("--help fails, or does not mention --config", tap.help.last_words())
    elif tap.help.seconds > HELP_BUDGET_S:
        yield Finding(f"--help takes {tap.help.seconds:.0f} s")
    run = tap.run("--zz-unknown", catalog=tap.everything_selected)
    if run.exit_code == 0:
        yield Finding("the unknown option --zz-unknown is accepted")
    elif run.transcript.messages:
        yield Finding("messages in spite of an unknown option", run.transcript.lines[0])
