"""The pages of the connectors that come with singerkit are what `--about --format=markdown` says of them.

``SINGERKIT_WRITE_DOCS=1`` writes them anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from singerkit.cli.about import about_text
from singerkit.cli.main import CONNECTORS

PAGES = Path(__file__).parents[2] / "docs/reference/connectors"


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_connector_s_page_has_its_settings(name):
    module, _, plugin = CONNECTORS[name].location.partition(":")
    written = about_text(getattr(import_module(module), plugin), "markdown") + "\n"
    page = PAGES / f"{name}.md"
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        page.write_text(written, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == written, "SINGERKIT_WRITE_DOCS=1 writes the page"


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_setting_says_what_it_means(name):
    rows = [line for line in (PAGES / f"{name}.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.endswith("|  |")]


def test_each_connector_has_a_page_and_each_page_a_connector():
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in PAGES.glob("*.md")} - {"index"}
    assert pages == set(CONNECTORS)
    assert all(f"\n{name}\n" in index for name in pages)


def test_the_command_says_the_same():
    words = [sys.executable, "-m", "singerkit", "target-jsonl", "--about", "--format=markdown"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (PAGES / "target-jsonl.md").read_text(encoding="utf-8")
