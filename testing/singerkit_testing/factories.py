"""Classes with the tests of a connector class, for an author's own test module.

    TestTapShop = get_tap_test_class(TapShop, config={"start_date": "2024-01-01"})

It has the tests of the suites (``test_tap_discovery``, ``test_tap_stream_returns_record[orders]``,
``test_tap_stream_attribute_is_datetime[orders.updated_at]``, ``test_target_array_data``) and one for each conformance
rule (``test_conformance[TAP-001]``). An author may subclass it and override the fixtures ``config``, ``resource``,
``runner`` and ``lab``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from singerkit_testing import rules
from singerkit_testing.class_commands import command_of, environment_of
from singerkit_testing.errors import HarnessError
from singerkit_testing.mapper_lab import MapperLab
from singerkit_testing.recordings import recording_options, replayed
from singerkit_testing.report.text import explanation, printable
from singerkit_testing.rules import WORKERS, Judging, Result, Rule, Verdict, choose
from singerkit_testing.runners import MapperTestRunner, SingerTestRunner, TapTestRunner, TargetTestRunner
from singerkit_testing.settings import read_config
from singerkit_testing.suite_config import SuiteConfig
from singerkit_testing.suites import (
    SingerTestSuite,
    mapper_tests,
    tap_stream_attribute_tests,
    tap_stream_tests,
    tap_tests,
    target_tests,
)
from singerkit_testing.tap_lab import TapLab
from singerkit_testing.target_lab import TargetLab

Members = dict[str, Any]
_PLACES = ("{workdir}", "{case}")


def get_tap_test_class(
    tap_class: Any,
    *,
    config: Mapping[str, Any] | None = None,
    replay: str | Path | None = None,
    include_tap_tests: bool = True,
    include_stream_tests: bool = True,
    include_stream_attribute_tests: bool = True,
    custom_suites: Sequence[SingerTestSuite] | None = None,
    suite_config: SuiteConfig | None = None,
    **kwargs: Any,
) -> type:
    """Make the test class for a tap class; `kwargs` go to the tap whenever one is made.

    With `replay`, the folder of a recording, all tests run without the source; see `singerkit_testing.recordings`.

    Errors: whatever discovery raises, as the tests depend on which streams there are; ``HarnessError`` for a recording
    that is not there, or a class that can't be run from one.
    """
    options = recording_options(replay=replay)
    suite_config = suite_config or SuiteConfig()
    runner = TapTestRunner(tap_class, config, suite_config, **{"parse_env_config": True, **kwargs})
    included = [
        *(custom_suites or ()),
        *([tap_tests] if include_tap_tests else ()),
        *([tap_stream_tests] if include_stream_tests else ()),
        *([tap_stream_attribute_tests] if include_stream_attribute_tests else ()),
    ]
    with replayed(tap_class, replay):
        members = {
            **_fixtures(suite_config),
            **_tap_members(runner, replay, options),
            **_suite_members(included, _streams(runner, included)),
        }
    members |= _rule_members(rules.tap_rules, suite_config)
    return type("TapTestClass", (), {"__doc__": f"The tests of {tap_class.__name__}.", **members})


def get_target_test_class(
    target_class: Any,
    *,
    config: Mapping[str, Any] | None = None,
    custom_suites: Sequence[SingerTestSuite] | None = None,
    suite_config: SuiteConfig | None = None,
    include_target_tests: bool = True,
    **kwargs: Any,
) -> type:
    """Make the test class for a target class; `kwargs` go to the target whenever one is made.

    The conformance rules load into fresh places again and again: they are applied if the config says where by
    ``{workdir}`` or ``{case}``, or the suite's config names a reader.
    """
    suite_config = suite_config or SuiteConfig()
    arguments = {"parse_env_config": True, **kwargs}
    included = [*(custom_suites or ()), *([target_tests] if include_target_tests else ())]
    members = {
        **_fixtures(suite_config),
        **_target_members(target_class, config, suite_config, arguments),
        **_suite_members(included, []),
        **_rule_members(rules.target_rules, suite_config),
    }
    return type("TargetTestClass", (), {"__doc__": f"The tests of {target_class.__name__}.", **members})


def get_mapper_test_class(
    mapper_class: Any,
    *,
    config: Mapping[str, Any] | None = None,
    custom_suites: Sequence[SingerTestSuite] | None = None,
    suite_config: SuiteConfig | None = None,
    include_mapper_tests: bool = True,
    **kwargs: Any,
) -> type:
    """Make the test class for a mapper class; `kwargs` go to the mapper whenever one is made.

    An author's own tests give messages to `runner.map` and look at what comes back.
    """
    suite_config = suite_config or SuiteConfig()
    runner = MapperTestRunner(mapper_class, config, suite_config, **{"parse_env_config": True, **kwargs})
    included = [*(custom_suites or ()), *([mapper_tests] if include_mapper_tests else ())]
    members = {
        **_fixtures(suite_config),
        **_mapper_members(runner),
        **_suite_members(included, []),
        **_rule_members(rules.mapper_rules, suite_config),
    }
    return type("MapperTestClass", (), {"__doc__": f"The tests of {mapper_class.__name__}.", **members})


# Fixtures


def _fixtures(suite_config: SuiteConfig) -> Members:
    @pytest.fixture
    def config(self: Any) -> SuiteConfig:
        """Give how the tests run."""
        return suite_config

    @pytest.fixture
    def resource(self: Any) -> Any:
        """Give what an author's tests need from outside: nothing."""
        return None

    return {"config": config, "resource": resource}


def _tap_members(tap_runner: TapTestRunner, replay: str | Path | None, options: Sequence[str]) -> Members:
    def source(cls: Any) -> Iterator[None]:
        """Have the tap answered from its recording, if there is one, in all tests of the class."""
        with replayed(tap_runner.singer_class, replay):
            yield

    def runner(cls: Any, source: None) -> TapTestRunner:
        """Give the runner; it syncs once for all tests."""
        if not tap_runner.raw_messages:
            tap_runner.sync_all()
        return tap_runner

    def lab(cls: Any, source: None) -> Iterator[TapLab]:
        """Give the lab in which the rules are applied."""
        suite = tap_runner.suite_config
        with TapLab(
            _command(tap_runner.singer_class),
            _given_config(tap_runner),
            timeout_s=suite.timeout_s,
            expect=suite.expect,
            broken_configs=suite.broken_configs,
            mutate_source=suite.mutate_source,
            catalog=_catalog(tap_runner.default_kwargs.get("catalog")),
            environment=environment_of(),
            abilities=suite.abilities,
            options=options,
        ) as opened:
            yield opened

    return {"source": _of_class(source, autouse=True), "runner": _of_class(runner), "lab": _of_class(lab)}


def _target_members(
    target_class: Any, config: Mapping[str, Any] | None, suite: SuiteConfig, arguments: Mapping[str, Any]
) -> Members:
    @pytest.fixture
    def runner(self: Any) -> TargetTestRunner:
        """Give a new runner."""
        return TargetTestRunner(target_class, config, suite, **arguments)

    def lab(cls: Any) -> Iterator[TargetLab]:
        """Give the lab in which the rules are applied."""
        if suite.reader is None and not any(place in str(config) for place in _PLACES):
            pytest.skip("where the rules may load is not said: {workdir} in the config, or SuiteConfig(reader=...)")
        with TargetLab(
            _command(target_class),
            _complete(config or {}, target_class, arguments),
            reader=suite.reader,
            timeout_s=suite.timeout_s,
            batch_size_setting=suite.batch_size_setting,
            load_method=suite.load_method,
            environment=environment_of(),
            abilities=suite.abilities,
        ) as opened:
            yield opened

    return {"runner": runner, "lab": _of_class(lab)}


def _mapper_members(mapper_runner: MapperTestRunner) -> Members:
    def runner(cls: Any) -> MapperTestRunner:
        """Give the runner."""
        return mapper_runner

    def lab(cls: Any) -> Iterator[MapperLab]:
        """Give the lab in which the rules are applied."""
        suite = mapper_runner.suite_config
        with MapperLab(
            _command(mapper_runner.singer_class),
            _given_config(mapper_runner),
            timeout_s=suite.timeout_s,
            environment=environment_of(),
            abilities=suite.abilities,
        ) as opened:
            yield opened

    return {"runner": _of_class(runner), "lab": _of_class(lab)}


def _of_class(function: Callable[..., Any], *, autouse: bool = False) -> Any:
    """Make a fixture that is there once for all tests of a class."""
    method: Any = classmethod(function)
    return pytest.fixture(scope="class", autouse=autouse)(method)


def _command(connector_class: Any) -> list[str]:
    try:
        return command_of(connector_class)
    except HarnessError as error:
        pytest.skip(str(error))


def _given_config(runner: SingerTestRunner) -> dict[str, Any]:
    return _complete(runner.config, runner.singer_class, runner.default_kwargs)


def _complete(config: Mapping[str, Any], connector_class: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a config what only the environment says, as the command reads files only."""
    if not arguments.get("parse_env_config"):
        return dict(config)
    declared = connector_class.config_jsonschema.get("properties", {})
    complete = connector_class(config=config, **arguments).config
    more = {name: complete[name] for name in declared if name in complete and name not in config}
    return {**config, **{name: value for name, value in more.items() if value != declared[name].get("default")}}


def _catalog(given: Any) -> dict[str, Any] | None:
    if given is None or isinstance(given, Mapping | str | Path):
        return read_config(given)
    document: dict[str, Any] = given.to_dict()
    return document


# The tests of the suites


def _streams(runner: TapTestRunner, suites: Iterable[SingerTestSuite]) -> list[Any]:
    if any(suite.kind in ("tap_stream", "tap_stream_attribute") for suite in suites):
        return list(runner.new_tap().streams.values())
    return []


def _suite_members(suites: Iterable[SingerTestSuite], streams: list[Any]) -> Members:
    members: Members = {}
    for suite in suites:
        for test_class in suite.tests:
            test = _MAKERS[suite.kind](test_class, streams)
            if test is not None:
                name = f"test_{suite.kind}_{test_class.name}"
                test.__name__, test.__doc__ = name, test_class.__doc__
                members[name] = test
    return members


def _plain_test(test_class: Any, streams: list[Any]) -> Callable[..., None]:
    def test(self: Any, config: SuiteConfig, resource: Any, runner: Any) -> None:
        test_class().run(config, resource, runner)

    return test


def _stream_test(test_class: Any, streams: list[Any]) -> Callable[..., None]:
    def test(self: Any, config: SuiteConfig, resource: Any, runner: Any, stream: Any) -> None:
        test_class().run(config, resource, runner, stream)

    pytest.mark.parametrize("stream", streams, ids=[stream.name for stream in streams])(test)
    return test


def _attribute_test(test_class: Any, streams: list[Any]) -> Callable[..., None] | None:
    cases = [
        pytest.param(stream, name, id=f"{stream.name}.{name}")
        for stream in streams
        for name, schema in stream.schema.get("properties", {}).items()
        if test_class.evaluate(stream=stream, property_name=name, property_schema=schema)
    ]
    if not cases:
        return None

    def test(self: Any, config: SuiteConfig, resource: Any, runner: Any, stream: Any, attribute_name: str) -> None:
        test_class().run(config, resource, runner, stream, attribute_name)

    pytest.mark.parametrize(("stream", "attribute_name"), cases)(test)
    return test


_MAKERS: dict[str, Callable[[Any, list[Any]], Callable[..., None] | None]] = {
    "tap": _plain_test,
    "tap_stream": _stream_test,
    "tap_stream_attribute": _attribute_test,
    "target": _plain_test,
    "mapper": _plain_test,
}


# The conformance rules


def _rule_members(load: Callable[..., list[Rule]], suite: SuiteConfig) -> Members:
    if not suite.conformance:
        return {}
    chosen = choose(load(properties=suite.properties), suite.rules)

    def judging(cls: Any, request: pytest.FixtureRequest, lab: Any) -> Iterator[Judging]:
        """Apply the rules of the tests that follow ahead of them."""
        alone = not hasattr(request.config, "workerinput")  # with xdist each process has tests of its own
        wanted = [rule for rule in _rules_of(cls, request.session.items) if alone and rule.id not in suite.bypass]
        with closing(Judging(wanted, lab, workers=WORKERS)) as opened:
            yield opened

    @pytest.mark.parametrize("rule", chosen, ids=[rule.id for rule in chosen])
    def test_conformance(
        self: Any, judging: Judging, rule: Rule, record_property: Callable[[str, object], None]
    ) -> None:
        """Apply a rule of the catalogue."""
        if rule.id in suite.bypass:
            pytest.skip(suite.bypass[rule.id])
        _report(judging.result(rule), record_property, strict=suite.strict)

    return {"judging": _of_class(judging), "test_conformance": test_conformance}


def _rules_of(cls: type, items: Iterable[Any]) -> list[Rule]:
    """List the rules of the tests of a class, of those that are going to be run."""
    parameters = [
        item.callspec.params for item in items if getattr(item, "cls", None) is cls and hasattr(item, "callspec")
    ]
    return [given["rule"] for given in parameters if isinstance(given.get("rule"), Rule)]


def _report(result: Result, record_property: Callable[[str, object], None], *, strict: bool) -> None:
    if result.verdict is Verdict.SKIPPED:
        pytest.skip(result.note)
    head = f"{result.rule.id} {result.rule.title} ({result.rule.severity})"
    said = printable("\n".join([head, *(f"  {line}" for line in explanation(result))]))
    if result.verdict in (Verdict.FAIL, Verdict.ERROR) or (strict and result.verdict is Verdict.WARN):
        pytest.fail(said, pytrace=False)
    if result.findings:
        record_property("singer_findings", said)  # shown by the plugin, after the tests
