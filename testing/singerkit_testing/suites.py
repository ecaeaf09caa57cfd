"""Lists of tests, by what they are for; an author adds own ones with ``custom_suites=[SingerTestSuite(...)]``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import isclass
from types import ModuleType
from typing import Any, Literal

from singerkit_testing import mapper_tests as _mapper_tests
from singerkit_testing import tap_tests as _tap_tests
from singerkit_testing import target_tests as _target_tests
from singerkit_testing.templates import (
    AttributeTestTemplate,
    MapperTestTemplate,
    StreamTestTemplate,
    TapTestTemplate,
    TargetTestTemplate,
    TestTemplate,
)

Kind = Literal["tap", "tap_stream", "tap_stream_attribute", "target", "mapper"]


@dataclass
class SingerTestSuite:
    """Tests of one kind.

    Shape: `tests` are classes, not objects.
    """

    __test__ = False
    kind: Kind
    tests: list[Any]


TestSuite = SingerTestSuite


def _named(module: ModuleType, template: type[TestTemplate], *, but: type[TestTemplate] | None = None) -> list[Any]:
    return [kind for kind in _tests(module) if issubclass(kind, template) and not (but and issubclass(kind, but))]


def _tests(module: ModuleType) -> Iterator[type[TestTemplate]]:
    for value in vars(module).values():
        if isclass(value) and issubclass(value, TestTemplate) and value.name and value.__module__ == module.__name__:
            yield value


# What a target does about it is for its author to say: these two are there for own suites.
_FOR_OWN_SUITES = (_target_tests.TargetMultipleStateMessages, _target_tests.TargetRecordMissingRequiredProperty)

tap_tests = SingerTestSuite("tap", _named(_tap_tests, TapTestTemplate))
tap_stream_tests = SingerTestSuite("tap_stream", _named(_tap_tests, StreamTestTemplate, but=AttributeTestTemplate))
tap_stream_attribute_tests = SingerTestSuite("tap_stream_attribute", _named(_tap_tests, AttributeTestTemplate))
mapper_tests = SingerTestSuite("mapper", _named(_mapper_tests, MapperTestTemplate))
target_tests = SingerTestSuite(
    "target", [test for test in _named(_target_tests, TargetTestTemplate) if test not in _FOR_OWN_SUITES]
)
