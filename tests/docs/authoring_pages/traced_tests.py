"""A test of an author's own, whose hooks are all overridden: ``python traced_tests.py tests CALLS_FILE``."""

from __future__ import annotations

import sys

from calls import Calls, traced

from singerkit.connectors.target_jsonl import TargetJSONL
from singerkit_testing import SuiteConfig, TargetTestRunner, TestTemplate

CALLS = Calls()


def main() -> None:
    own = traced(TestTemplate, ["setup", "test", "validate", "teardown"], CALLS, "TestTemplate")
    try:
        type("Own", (own,), {"name": "own"})().run(SuiteConfig(), None, TargetTestRunner(TargetJSONL, {}))
    finally:
        CALLS.write(sys.argv[2])


if __name__ == "__main__":
    main()
