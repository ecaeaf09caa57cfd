"""The pytest plugin: ``pytest --tap 'tap-x' --tap-config c.json`` gives one test per rule.

pytest imports this module in every session of every project that has singerkit installed: it imports the harness only
when one of its options is used.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singerkit_testing.judgement import Judgement, Kind
    from singerkit_testing.mapper_lab import MapperLab
    from singerkit_testing.rules import Judging, Result, Rule
    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.target_lab import TargetLab

_VERDICT = "singer_verdict"
_SUITES = pytest.StashKey["list[Suite]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("singer", "Singer conformance")
    group.addoption("--tap", metavar="COMMAND", help="check this tap: one test per rule")
    group.addoption("--tap-config", metavar="FILE", help="its config, JSON")
    group.addoption("--tap-replay", metavar="DIR", help="answer it from there: what it recorded with --record")
    group.addoption("--tap-record", metavar="DIR", help="have it record what it is answered")
    group.addoption("--target", metavar="COMMAND", help="check this target: one test per rule")
    group.addoption("--target-config", metavar="FILE", help="its config, JSON; {workdir} is where it should write")
    group.addoption("--target-reader", metavar="WHERE", help="reads it back: SQL URL, folder or module:function")
    group.addoption("--mapper", metavar="COMMAND", help="check this mapper: one test per rule")
    group.addoption("--mapper-config", metavar="FILE", help="its config, JSON")
    group.addoption("--singer-rules", metavar="IDS", default="", help="only these rules: TAP-06*,-TAP-063")
    group.addoption("--singer-strict", action="store_true", help="a broken should fails its test, too")
    group.addoption("--singer-properties", action="store_true", help="generate input as well: takes longer")
    group.addoption("--singer-report", metavar="FILE", action="append", default=[], help="write .html, .json, .md, ...")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each rule, after the project's own."""
    if config.option.tap or config.option.target or config.option.mapper:
        config.stash[_SUITES] = list(_suites(session))
        for suite in config.stash[_SUITES]:
            items.extend(suite.collect())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the folders of all runs."""
    for suite in config.stash.get(_SUITES, []):
        suite.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the findings that failed no test, and write the reports."""
    remarks = [remark for report in terminalreporter.getreports("passed") for remark in _remarks(report)]
    infos = [remark for remark in remarks if _is_info(remark)]
    for title, lines in (
        ("Singer: shoulds that are broken", [remark for remark in remarks if remark not in infos]),
        ("Singer: nothing is broken by it, but it is worth knowing", infos),
    ):
        if lines:
            terminalreporter.section(title)
            terminalreporter.write_line("\n".join(lines))
    for suite in config.stash.get(_SUITES, []):
        if suite.results:
            _write_reports(config, suite)


class Suite(pytest.Collector):
    """All rules for one connector."""

    kind: Kind
    lab: TapLab | TargetLab | MapperLab
    rules: list[Rule]

    def __init__(self, *, kind: Kind, lab: TapLab | TargetLab | MapperLab, rules: list[Rule], **more: Any) -> None:
        super().__init__(**more)
        self.kind = kind
        self.lab = lab
        self.rules = rules
        self.results: list[Result] = []
        self.began = time.monotonic()
        self._judging: Judging | None = None

    def collect(self) -> list[pytest.Item]:
        """Make a test for each rule."""
        return [RuleItem.from_parent(self, name=rule.id, rule=rule) for rule in self.rules]

    def result(self, rule: Rule) -> Result:
        """Apply a rule; those of the tests that follow are applied meanwhile."""
        if self._judging is None:
            from singerkit_testing.rules import WORKERS, Judging

            alone = not hasattr(self.config, "workerinput")  # with xdist each process has tests of its own
            items = [each for each in self.session.items if isinstance(each, RuleItem) and each.parent is self]
            self._judging = Judging([each.rule for each in items if alone], self.lab, workers=WORKERS)
        self.results.append(self._judging.result(rule))
        return self.results[-1]

    def close(self) -> None:
        """End what still runs, and delete the folders of all runs."""
        if self._judging is not None:
            self._judging.close()
        self.lab.close()

    def judgement(self) -> Judgement:
        """Give the results so far as a judgement."""
        from singerkit_testing.judgement import Judgement, now

        seconds = time.monotonic() - self.began
        return Judgement(self.kind, self.lab.command, tuple(self.results), now(), seconds, self.lab.hollow)


class RuleItem(pytest.Item):
    """One rule for one connector."""

    def __init__(self, *, rule: Rule, **more: Any) -> None:
        super().__init__(**more)
        self.rule = rule

    @property
    def suite(self) -> Suite:
        """The suite that it belongs to."""
        assert isinstance(self.parent, Suite)  # noqa: S101 - for the type checker
        return self.parent

    def runtest(self) -> None:
        """Apply the rule."""
        from singerkit_testing.rules import Verdict

        result = self.suite.result(self.rule)
        self.user_properties.append(("severity", str(self.rule.severity)))
        self.user_properties.append((_VERDICT, str(result.verdict)))
        strict = self.config.option.singer_strict
        if result.verdict is Verdict.SKIPPED:
            pytest.skip(result.note)
        if result.verdict in (Verdict.FAIL, Verdict.ERROR) or (strict and result.verdict is Verdict.WARN):
            raise Breach(result)
        if result.findings:
            self.user_properties.append(("singer_findings", _explained(result)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Explain a breach in its own words; anything else as usual."""
        if isinstance(excinfo.value, Breach):
            from singerkit_testing.report.text import explanation, printable

            return printable("\n".join(explanation(excinfo.value.result)))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Give what stands above the failure."""
        return self.path, None, f"{self.rule.id} {self.rule.title}"


class Breach(Exception):
    """A rule is broken."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.findings[0].message if result.findings else result.note)
        self.result = result


def _suites(session: pytest.Session) -> Iterator[Suite]:
    from singerkit_testing import rules
    from singerkit_testing.judgement import Kind
    from singerkit_testing.mapper_lab import MapperLab
    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.target_lab import TargetLab

    option = session.config.option
    many = {"properties": option.singer_properties}
    if option.tap:
        yield _suite(session, Kind.TAP, option.tap, partial(_tap, option, TapLab), rules.tap_rules(**many))
    if option.target:
        make = partial(_target, option, TargetLab)
        yield _suite(session, Kind.TARGET, option.target, make, rules.target_rules(**many))
    if option.mapper:
        open_mapper = partial(MapperLab, option.mapper, option.mapper_config)
        yield _suite(session, Kind.MAPPER, option.mapper, open_mapper, rules.mapper_rules(**many))


def _tap(option: Any, make: Callable[..., TapLab]) -> TapLab:
    from singerkit_testing.recordings import recorded_config, recording_options

    words = recording_options(record=option.tap_record, replay=option.tap_replay)
    return make(option.tap, option.tap_config or recorded_config(option.tap_replay), options=words)


def _target(option: Any, make: Callable[..., TargetLab]) -> TargetLab:
    from singerkit_testing.readers import named_source

    return make(option.target, option.target_config, reader=named_source(option.target_reader))


def _suite(
    session: pytest.Session,
    kind: Kind,
    name: str,
    make: Callable[[], TapLab | TargetLab | MapperLab],
    known: list[Rule],
) -> Suite:
    from singerkit_testing.errors import HarnessError
    from singerkit_testing.rules import choose

    wanted = [pattern.strip() for pattern in session.config.option.singer_rules.split(",") if pattern.strip()]
    try:
        lab = make()
        nodeid = f"singer:{PurePath(lab.command[-1]).name}"
        suite: Suite = Suite.from_parent(
            session, name=name, nodeid=nodeid, kind=kind, lab=lab, rules=choose(known, wanted, lenient=True)
        )
    except HarnessError as error:
        raise pytest.UsageError(f"singer: {error}") from error
    return suite


def _explained(result: Result) -> str:
    from singerkit_testing.report.text import explanation, printable

    head = f"{result.rule.id} {result.rule.title} ({result.rule.severity})"
    return printable("\n".join([head, *(f"  {line}" for line in explanation(result))]))


def _remarks(report: Any) -> list[str]:
    return [text for name, text in getattr(report, "user_properties", []) if name == "singer_findings"]


def _is_info(remark: str) -> bool:
    return remark.partition("\n")[0].endswith("(info)")


def _write_reports(config: pytest.Config, suite: Suite) -> None:
    from singerkit_testing.report import save

    for destination in config.option.singer_report:
        save(suite.judgement(), destination)
