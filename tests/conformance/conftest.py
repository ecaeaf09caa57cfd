"""The tests of the corpus import `catalogue` and `programs/by_name.py` by name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path += [str(FOLDER), str(FOLDER / "programs")]


def pytest_collection_modifyitems(config, items):
    """Run a sample; ``make test-conformance`` (SINGERKIT_CONFORMANCE=all) runs the whole corpus."""
    if os.environ.get("SINGERKIT_CONFORMANCE") == "all":
        return
    of_the_corpus = [item for item in items if item.path.name in {"test_corpus.py", "test_programs.py"}]
    left_out = {item for number, item in enumerate(of_the_corpus) if number % 10}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]
