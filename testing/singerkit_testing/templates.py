"""The classes that an author subclasses to add a test to a suite.

A test has a `name` and does its work in `test`; `setup`, `validate` and `teardown` are called around it if they are
there. While it runs, `config` is the SuiteConfig, `resource` what the fixture of that name gives, `runner` the runner.
"""

from __future__ import annotations

import contextlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

from singerkit_testing.runners import MapperTestRunner, SingerTestRunner, TapTestRunner, TargetTestRunner
from singerkit_testing.suite_config import SuiteConfig

_CANNED = Path(__file__).parent / "target_streams"


class TestTemplate:
    """A test."""

    __test__ = False
    #: What its test is called.
    name: str | None = None
    #: How the tests run; there while the test runs, like the two below.
    config: SuiteConfig
    #: What the fixture ``resource`` gives.
    resource: Any
    #: What runs the connector's class, and keeps what came out.
    runner: Any

    @property
    def id(self) -> str:
        """What tells it from the others."""
        raise NotImplementedError

    def setup(self) -> None:
        """Get ready."""
        raise NotImplementedError

    def test(self) -> None:
        """Do the test: unless a subclass says otherwise, a run that ends well."""
        self.runner.sync_all()

    def validate(self) -> None:
        """Look at what the test left behind."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Clean up, whatever happened."""
        raise NotImplementedError

    def run(self, config: SuiteConfig, resource: Any, runner: Any) -> None:
        """Run the test with all that belongs to it.

        Errors: ``ValueError`` if it has no name.
        """
        if not self.name:
            raise ValueError(f"{type(self).__name__} has no name")
        self.config, self.resource, self.runner = config, resource, runner
        with contextlib.suppress(NotImplementedError):
            self.setup()
        try:
            self.test()
            with contextlib.suppress(NotImplementedError):
                self.validate()
        finally:
            with contextlib.suppress(NotImplementedError):
                self.teardown()


def assert_command_tells(runner: SingerTestRunner, name: str) -> None:
    """Ask a connector's command, without a config, for its version and for its description in both forms."""
    assert runner.run_command("--version").strip()  # noqa: S101
    assert runner.run_command("--about").strip()  # noqa: S101
    assert json.loads(runner.run_command("--about", "--format=json"))["name"] == name  # noqa: S101


class TapTestTemplate(TestTemplate):
    """A test of a tap: `tap` is a new one."""

    tap: Any

    @property
    def id(self) -> str:
        """What tells it from the others."""
        return f"tap__{self.name}"

    def run(self, config: SuiteConfig, resource: Any, runner: TapTestRunner) -> None:
        """Run the test."""
        self.tap = runner.new_tap()
        super().run(config, resource, runner)


class StreamTestTemplate(TestTemplate):
    """A test of each stream: `stream`, and `stream_records`, which the runner has read."""

    required_kwargs: ClassVar[list[str]] = ["stream"]
    stream: Any
    stream_records: list[dict[str, Any]]

    @property
    def id(self) -> str:
        """What tells it from the others."""
        return f"{self.stream.name}__{self.name}"

    @property
    def ignore_no_records(self) -> bool:
        """Whether the stream may be without records."""
        return self.config.ignore_no_records or self.stream.name in self.config.ignore_no_records_for_streams

    @property
    def sent_schema(self) -> dict[str, Any]:
        """The schema that the tap wrote; the stream's own if it wrote none."""
        schema: dict[str, Any] = self.runner.sent_schema(self.stream.name) or self.stream.schema
        return schema

    def run(self, config: SuiteConfig, resource: Any, runner: TapTestRunner, stream: Any = None) -> None:
        """Run the test for a stream."""
        self.stream = stream
        self.stream_records = runner.records[stream.name]
        super().run(config, resource, runner)


class AttributeTestTemplate(StreamTestTemplate):
    """A test of each property of a stream for which `evaluate` says so."""

    required_kwargs: ClassVar[list[str]] = ["stream", "attribute_name"]
    attribute_name: str

    @property
    def id(self) -> str:
        """What tells it from the others."""
        return f"{self.stream.name}__{self.attribute_name}__{self.name}"

    def run(
        self,
        config: SuiteConfig,
        resource: Any,
        runner: TapTestRunner,
        stream: Any = None,
        attribute_name: str = "",
    ) -> None:
        """Run the test for a property of a stream."""
        self.attribute_name = attribute_name
        super().run(config, resource, runner, stream)

    @cached_property
    def non_null_attribute_values(self) -> list[Any]:
        """The values of the property in all records, without nulls; where there is none the test is skipped."""
        values = [record.get(self.attribute_name) for record in self.stream_records]
        values = [value for value in values if value is not None]
        if not values:
            pytest.skip(f"no record of '{self.stream.name}' has a value for '{self.attribute_name}'")
        return values

    @classmethod
    def evaluate(cls, stream: Any, property_name: str, property_schema: dict[str, Any]) -> bool:
        """Tell whether the test is for a property."""
        raise NotImplementedError


class TargetTestTemplate(TestTemplate):
    """A test of a target: `target` is a new one."""

    target: Any

    @property
    def id(self) -> str:
        """What tells it from the others."""
        return f"target__{self.name}"

    def run(self, config: SuiteConfig, resource: Any, runner: TargetTestRunner) -> None:
        """Run the test."""
        self.target = runner.new_target()
        super().run(config, resource, runner)


class MapperTestTemplate(TestTemplate):
    """A test of a mapper: `mapper` is a new one."""

    mapper: Any

    @property
    def id(self) -> str:
        """What tells it from the others."""
        return f"mapper__{self.name}"

    def run(self, config: SuiteConfig, resource: Any, runner: MapperTestRunner) -> None:
        """Run the test."""
        self.mapper = runner.new_mapper()
        super().run(config, resource, runner)


class TargetFileTestTemplate(TargetTestTemplate):
    """A test that has a target load a file of messages; `validate` then looks at what it stored."""

    def run(self, config: SuiteConfig, resource: Any, runner: TargetTestRunner) -> None:
        """Run the test over the file."""
        path = self.singer_filepath
        assert path.is_file(), f"there is no file {path} with messages"  # noqa: S101
        runner.input_filepath = path
        super().run(config, resource, runner)

    @property
    def singer_filepath(self) -> Any:
        """The file with the messages: one that comes with the harness and is called like the test."""
        return _CANNED / f"{self.name}.singer"
