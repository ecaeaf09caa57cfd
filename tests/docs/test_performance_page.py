"""The tables and plots about performance are those of the figures that were measured.

``SINGERKIT_WRITE_DOCS=1`` writes them anew.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_page_has_the_figures_that_were_measured():
    spec = importlib.util.spec_from_file_location("benchmarks_page", BENCHMARKS / "page.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    for path, text in page.files(json.loads(page.MEASURED.read_text())).items():
        if os.environ.get("SINGERKIT_WRITE_DOCS"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, path.name
