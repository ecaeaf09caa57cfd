"""All results for one connector together, and what they mean for whoever waits for an exit code."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING

from singerkit_testing.rules import Result, Rule, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Kind(StrEnum):
    """What is judged."""

    TAP = "tap"
    TARGET = "target"
    MAPPER = "mapper"


class ExitCode(IntEnum):
    """What the command line tells its caller."""

    CONFORMANT = 0
    BREACH = 1
    USAGE = 2
    HARNESS = 3
    NOTHING_JUDGED = 4


# Worst first: the order in which a person wants to read them.
ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.INFO, Verdict.SKIPPED, Verdict.PASS)


_MAPPER = re.compile(r"mapper[-_.:]")
_INTERPRETER = re.compile(r"(python|pypy|node|ruby|perl|php|java|bash|sh|deno|bun)[\d.]*$")


@dataclass(frozen=True)
class Judgement:
    """What the harness found out about one connector.

    Shape: `hollow` says, in sentences, why less was looked at than a person would think (no reader, no record); with
    it nothing counts as conformant. Units: `seconds` of wall time.
    """

    kind: Kind
    command: tuple[str, ...]
    results: tuple[Result, ...]
    started: datetime
    seconds: float
    hollow: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The connector's name, as far as the command shows it."""
        return name_of(self.command, self.kind)

    @property
    def command_line(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.command)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many rules came to each verdict, worst first."""
        counted = Counter(result.verdict for result in self.results)
        return {verdict: counted[verdict] for verdict in ORDER}

    @property
    def applied(self) -> int:
        """How many rules were applied."""
        return len(self.results) - self.counts[Verdict.SKIPPED]

    def with_verdict(self, *verdicts: Verdict) -> list[Result]:
        """List the results with these verdicts, in the order of `verdicts`."""
        return [result for verdict in verdicts for result in self.results if result.verdict is verdict]

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """Weigh the results; with `strict` a broken *should* counts like a *must*."""
        counts = self.counts
        if counts[Verdict.FAIL] or (strict and counts[Verdict.WARN]):
            return ExitCode.BREACH
        if counts[Verdict.ERROR]:
            return ExitCode.HARNESS
        if self.hollow or not self.applied:
            return ExitCode.NOTHING_JUDGED
        return ExitCode.CONFORMANT

    def sentence(self, *, strict: bool = False) -> str:
        """Say the whole in one sentence."""
        counts = self.counts
        said = {
            ExitCode.BREACH: f"not conformant, {_broken(counts)}",
            ExitCode.HARNESS: f"not judged, as {_plural(counts[Verdict.ERROR], 'rule')} could not be applied",
            ExitCode.NOTHING_JUDGED: f"nothing proven, for {' and '.join(self.hollow) or 'no rule was applied'}",
            ExitCode.CONFORMANT: f"conformant, {_broken(counts)}",
        }
        applied = f"{_plural(self.applied, 'rule')} of {len(self.results)} applied"
        return f"{self.name}: {said[self.exit_code(strict=strict)]}; {applied}"


def _broken(counts: dict[Verdict, int]) -> str:
    musts, shoulds = counts[Verdict.FAIL], counts[Verdict.WARN]
    return f"{_plural(musts, 'must')} and {_plural(shoulds, 'should')} broken"


def _plural(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}" if number < 2 else f"{number} {noun}s"


def name_of(command: Sequence[str], kind: Kind) -> str:
    """Find the word of a command that names the connector: ``tap-csv`` in ``singerkit tap-csv``."""
    words = [PurePath(word).stem if word.endswith(".py") else PurePath(word).name for word in command]
    named = [word for word in words if kind.value in word]
    if not named and _INTERPRETER.match(words[0]):
        named = [word for word in words[1:] if not word.startswith("-")]
    return (named or words)[0]


def kind_of(command: Iterable[str]) -> Kind | None:
    """Tell by the words of a command what it is; None if they don't say, or say both tap and target.

    A mapper's name must begin with it: ``tap-mapper-x`` is a tap.
    """
    names = [PurePath(word).name for word in command]
    parts = [part for name in names for part in re.split("[-_.:]", name)]
    if any(map(_MAPPER.match, names)):
        return Kind.MAPPER
    said = [
        kind for kind in (Kind.TAP, Kind.TARGET) if any(part.startswith(kind) or part.endswith(kind) for part in parts)
    ]
    return said[0] if len(said) == 1 else None


def same_notes(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Group results that have nothing but a note by that note: one reason can stop many rules."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        if result.note and not result.findings:
            grouped.setdefault(result.note, []).append(result)
    return grouped


def topic_of(rule: Rule) -> str:
    """Give the topic of a rule: the module that holds it."""
    return rule.check.__module__.rpartition(".")[2].replace("_", " ")


def topics_of(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Group results by topic, in their order."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(topic_of(result.rule), []).append(result)
    return grouped


def now() -> datetime:
    """Give the present moment, in UTC."""
    return datetime.now(UTC)
