"""The conformance harness: checks any tap or target, in any language, against the Singer specification.

The names below are for the test module of a connector class; see :mod:`singerkit_testing.factories`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singerkit_testing.factories import get_mapper_test_class, get_tap_test_class, get_target_test_class
    from singerkit_testing.legacy import (
        get_standard_tap_tests,
        get_standard_target_tests,
        sync_end_to_end,
        tap_sync_test,
        tap_to_target_sync_test,
        target_sync_test,
    )
    from singerkit_testing.runners import MapperTestRunner, SingerTestRunner, TapTestRunner, TargetTestRunner
    from singerkit_testing.suite_config import SuiteConfig
    from singerkit_testing.suites import SingerTestSuite, TestSuite
    from singerkit_testing.templates import (
        AttributeTestTemplate,
        MapperTestTemplate,
        StreamTestTemplate,
        TapTestTemplate,
        TargetFileTestTemplate,
        TargetTestTemplate,
        TestTemplate,
    )

__all__ = [
    "AttributeTestTemplate",
    "MapperTestRunner",
    "MapperTestTemplate",
    "SingerTestRunner",
    "SingerTestSuite",
    "StreamTestTemplate",
    "SuiteConfig",
    "TapTestRunner",
    "TapTestTemplate",
    "TargetFileTestTemplate",
    "TargetTestRunner",
    "TargetTestTemplate",
    "TestSuite",
    "TestTemplate",
    "get_mapper_test_class",
    "get_standard_tap_tests",
    "get_standard_target_tests",
    "get_tap_test_class",
    "get_target_test_class",
    "sync_end_to_end",
    "tap_sync_test",
    "tap_to_target_sync_test",
    "target_sync_test",
]

_MODULES = ("suite_config", "factories", "legacy", "runners", "suites", "templates")


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: pytest loads this package in every session of every project."""
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module '{__name__}' has no '{name}'")
