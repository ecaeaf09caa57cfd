"""What a rule is, the three lists of all rules, and the judge who applies them to a connector in its lab."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import wraps
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from singerkit_testing.errors import HarnessError, OutOfTime, Unreadable
from singerkit_testing.process import Limit, time_limit
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from singerkit_testing.connector_lab import ConnectorLab
    from singerkit_testing.mapper_lab import MapperLab
    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.target_lab import TargetLab

EVIDENCE_CHARACTERS = 500
MOST_FINDINGS = 20
RULE_TIMEOUT_S = 120.0
# Most of a rule's time is that of the connector, which mostly has one thread; two at a time also on a single processor.
WORKERS = min(max(2, os.cpu_count() or 1), 8)
# A rule with this need changes what the others look at: it goes last, and alone.
_ALONE = "mutate_source"
_PROPERTIES = "singerkit_testing.properties"


class Severity(StrEnum):
    """How much a rule weighs: data or interoperability are lost; good custom is broken; worth knowing."""

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Verdict(StrEnum):
    """What came of one rule."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    WARN = "warn"
    INFO = "info"
    SKIPPED = "skipped"
    ERROR = "error"


_VERDICTS = {Severity.MUST: Verdict.FAIL, Severity.SHOULD: Verdict.WARN, Severity.INFO: Verdict.INFO}
_WEIGHTS = {Severity.MUST: 2, Severity.SHOULD: 1, Severity.INFO: 0}


@dataclass(frozen=True)
class Finding:
    """One breach of a rule: what is wrong, and the message that shows it.

    Shape: `evidence` (bytes, JSON, or what `str` makes of it) is cut to 500 characters; `severity`, if given, replaces
    the rule's for this finding (a rule can hold a lesser and a greater evil).
    """

    message: str
    evidence: Any = ""
    stream: str | None = None
    severity: Severity | None = None

    def __post_init__(self) -> None:
        evidence = encode(self.evidence) if isinstance(self.evidence, dict | list | tuple) else self.evidence
        text = evidence.decode("utf-8", "replace") if isinstance(evidence, bytes) else str(evidence)
        cut = text if len(text) <= EVIDENCE_CHARACTERS else text[: EVIDENCE_CHARACTERS - 1] + "…"
        object.__setattr__(self, "evidence", cut)


@dataclass(frozen=True)
class Rule:
    """One rule of the catalogue.

    Shape: `check` takes the lab and yields a finding for each breach; `needs` names what the lab must be able to do;
    `source` is where the rule comes from, `remedy` what an author does about a finding. Units: `timeout_s` is the most
    that the commands of the rule may take together.
    """

    id: str
    title: str
    severity: Severity
    source: str
    remedy: str
    check: Callable[[Any], Iterable[Finding]] = field(compare=False, repr=False)
    needs: frozenset[str] = frozenset()
    timeout_s: float = RULE_TIMEOUT_S


class NotApplicable(Exception):
    """The rule says nothing about this connector; the argument is the reason, one sentence."""


@dataclass(frozen=True)
class Result:
    """What came of one rule for one connector."""

    rule: Rule
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    note: str = ""


class Lab(Protocol):
    """What the judge needs of a lab."""

    @property
    def abilities(self) -> Collection[str]:
        """What this connector and this lab can do."""
        ...


_Tested = TypeVar("_Tested", bound="ConnectorLab")
_Check = Callable[[_Tested], "Iterable[Finding]"]


class Catalogue(Generic[_Tested]):
    """All rules for one kind of connector; the modules of a package fill it when they are imported.

    Shape: `guard` is put around the check of each rule that is written for this catalogue.
    """

    def __init__(
        self, package: str, guard: Callable[[str, _Check[_Tested]], _Check[_Tested]] = lambda _, check: check
    ) -> None:
        self._package = package
        self._guard = guard
        self._rules: dict[str, Rule] = {}

    def rule(
        self,
        rule_id: str,
        title: str,
        *,
        severity: Severity,
        source: str,
        remedy: str,
        needs: Iterable[str] = (),
        timeout_s: float = RULE_TIMEOUT_S,
    ) -> Callable[[_Check[_Tested]], _Check[_Tested]]:
        """Make a function over a lab a rule."""

        def register(check: _Check[_Tested]) -> _Check[_Tested]:
            guarded = self._guard(rule_id, check)
            self.add(Rule(rule_id, title, severity, source, remedy, guarded, frozenset(needs), timeout_s))
            return check

        return register

    def add(self, rule: Rule) -> None:
        """Take in a rule.

        Errors: ``HarnessError`` if there is one of that name.
        """
        if rule.id in self._rules:
            raise HarnessError(f"two rules are called {rule.id}")
        self._rules[rule.id] = rule

    def named(self, rule_id: str) -> Rule:
        """Give a rule that is there already.

        Errors: ``KeyError`` if there is none of that name.
        """
        return self._rules[rule_id]

    def listed(self, *, properties: bool = False) -> list[Rule]:
        """List the rules, by id; with `properties` those too that need generated input, and time."""
        import_module(self._package)
        if properties:
            import_module(_PROPERTIES)  # only now: it needs hypothesis
        ordered = sorted(self._rules.values(), key=lambda rule: rule.id)
        return [rule for rule in ordered if properties or not rule.check.__module__.startswith(_PROPERTIES)]


def _without_repetitions(rule_id: str, check: _Check[TargetLab]) -> _Check[TargetLab]:
    """Leave out what is wrong with every run of a target: one rule says so, and fifty more would hide it."""

    @wraps(check)
    def once(target: TargetLab) -> Iterator[Finding]:
        repeated = new = False
        for finding in check(target):
            if target.repeats(rule_id, finding.message):
                repeated = True
            else:
                new = True
                yield finding
        if repeated and not new:
            raise NotApplicable("it fails at this as at the simplest records: TGT-001")

    return once


_TAPS: Catalogue[TapLab] = Catalogue("singerkit_testing.tap_rules")
_TARGETS: Catalogue[TargetLab] = Catalogue("singerkit_testing.target_rules", _without_repetitions)
# None of the rules for mappers generates input at random: with `properties` there are no more of them.
_MAPPERS: Catalogue[MapperLab] = Catalogue("singerkit_testing.mapper_rules")

tap_rule, tap_rules = _TAPS.rule, _TAPS.listed
target_rule, target_rules = _TARGETS.rule, _TARGETS.listed
mapper_rule, mapper_rules = _MAPPERS.rule, _MAPPERS.listed


def hold_mappers_to(rule_id: str) -> None:
    """Apply a rule for taps to mappers too: one that looks at nothing but the full run and what `--about` says.

    Errors: ``KeyError`` if there is no such rule yet.
    """
    _MAPPERS.add(_TAPS.named(rule_id))


def choose(rules: Iterable[Rule], patterns: Sequence[str], *, lenient: bool = False) -> list[Rule]:
    """Keep the rules that a list of patterns names: ``TAP-06*`` adds, ``-TAP-063`` takes away; none: all.

    Errors: ``HarnessError`` for a pattern that names nothing, unless `lenient` (it may be meant for another list).
    """
    known = list(rules)
    wanted = [pattern for pattern in patterns if not pattern.startswith("-")] or ["*"]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("-")]
    for pattern in [*wanted, *unwanted]:
        if not lenient and not any(fnmatchcase(rule.id, pattern) for rule in known):
            raise HarnessError(f"no rule is called {pattern}; --list shows them")
    return [rule for rule in known if _named(rule, wanted) and not _named(rule, unwanted)]


def _named(rule: Rule, patterns: list[str]) -> bool:
    return any(fnmatchcase(rule.id, pattern) for pattern in patterns)


def judge(
    rules: Iterable[Rule],
    lab: Lab,
    ids: Collection[str] | None = None,
    *,
    bypass: Mapping[str, str] | None = None,
    workers: int = WORKERS,
    report: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Apply rules to the connector in a lab; never raises because of the connector.

    Shape: the results stand in the order of the rules. `ids` limits them; `bypass` maps an id to the reason why it is
    not applied; `report` hears each result, one at a time, in order.
    """
    chosen = [rule for rule in rules if ids is None or rule.id in ids]
    reasons = bypass or {}
    judged: dict[str, Result] = {}
    judging = Judging([rule for rule in chosen if rule.id not in reasons], lab, workers=workers)
    with closing(judging):
        for rule in sorted(chosen, key=_goes_alone):
            reason = reasons.get(rule.id)
            judged[rule.id] = Result(rule, Verdict.SKIPPED, note=reason) if reason else judging.result(rule)
            report(judged[rule.id])
    return [judged[rule.id] for rule in chosen]


def _goes_alone(rule: Rule) -> bool:
    return _ALONE in rule.needs


class Judging:
    """Rules that are applied some at a time, ahead of whoever asks for their results."""

    def __init__(self, rules: Iterable[Rule], lab: Lab, *, workers: int) -> None:
        self._lab = lab
        self._begun: list[Limit] = []
        self._is_closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rule")
        self._futures = {rule.id: self._pool.submit(self._work, rule) for rule in rules if not _goes_alone(rule)}

    def result(self, rule: Rule) -> Result:
        """Give what came of a rule; one that was not named before is applied now."""
        if rule.id in self._futures:
            return self._futures[rule.id].result()
        if _goes_alone(rule):
            wait(self._futures.values())
        return judge_one(rule, self._lab)

    def close(self) -> None:
        """End all that still goes on, at an interrupt too: no connector goes on without its judge."""
        self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for limit in self._begun:
            limit.cancel()
        self._pool.shutdown(wait=True)

    def _work(self, rule: Rule) -> Result:
        limit = Limit(rule.timeout_s)
        self._begun.append(limit)
        if self._is_closed:  # since this was taken from the queue
            limit.cancel()
        return judge_one(rule, self._lab, limit)


def judge_one(rule: Rule, lab: Lab, limit: Limit | None = None) -> Result:
    """Apply one rule; a check that breaks down gives an error in one line."""
    began = time.monotonic()
    try:
        with time_limit(limit or Limit(rule.timeout_s)):
            verdict, findings, note = _apply(rule, lab)
    except NotApplicable as reason:
        verdict, findings, note = Verdict.SKIPPED, (), str(reason)
    except OutOfTime:
        verdict, findings, note = Verdict.ERROR, (), f"not judged within {rule.timeout_s:.0f} s"
    except HarnessError as error:
        verdict, findings, note = Verdict.ERROR, (), str(error)
    except Exception as error:  # noqa: BLE001 - a bug in a check must not end the whole judgement
        verdict, findings, note = Verdict.ERROR, (), f"the check broke down: {_one_line(error)}"
    return Result(rule, verdict, findings, time.monotonic() - began, note)


def _apply(rule: Rule, lab: Lab) -> tuple[Verdict, tuple[Finding, ...], str]:
    missing = sorted(rule.needs - set(lab.abilities)) if rule.needs else []
    if missing:
        raise NotApplicable(f"needs {', '.join(missing)}")
    findings = tuple(islice(_findings(rule, lab), MOST_FINDINGS + 1))
    note = f"at least {len(findings)} findings; no more were looked for" if len(findings) > MOST_FINDINGS else ""
    return _verdict(rule, findings), findings[:MOST_FINDINGS], note


def _findings(rule: Rule, lab: Lab) -> Iterator[Finding]:
    try:
        yield from rule.check(lab)
    except Unreadable as error:
        yield Finding(str(error))


def _verdict(rule: Rule, findings: tuple[Finding, ...]) -> Verdict:
    if not findings:
        return Verdict.PASS
    worst = max((finding.severity or rule.severity for finding in findings), key=_WEIGHTS.__getitem__)
    return _VERDICTS[worst]


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "" if traceback is None else f" at {traceback.tb_frame.f_code.co_name}:{traceback.tb_lineno}"
    return f"{type(error).__name__}: {text}{where}"
