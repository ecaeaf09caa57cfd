"""The pages on classes are made of the code and of what a run calls, and are up to date.

``SINGERKIT_WRITE_DOCS=1`` writes them anew.
"""

from __future__ import annotations

import inspect
import os
import re
from importlib import import_module
from pathlib import Path

import pytest

import singerkit
import singerkit_testing

from .declarations import PAGES
from .pages import class_of, hooks_called, is_own, members, owners, page_text
from .runs import tree_of

DOCS = Path(__file__).parents[3] / "docs/reference"
SCENARIOS = sorted({name for page in PAGES.values() for shown in page.hooks for name in shown.scenarios})
HOOK_CLASSES = [shown for page in PAGES.values() for shown in page.hooks]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return {name: tree_of(name, tmp_path_factory.mktemp(name)) for name in SCENARIOS}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name, trees):
    written = page_text(PAGES[name], trees)
    page = DOCS / "authoring" / f"{name}.md"
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        page.write_text(written, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == written, "SINGERKIT_WRITE_DOCS=1 writes the page"


def test_every_public_name_is_on_a_page():
    shown = {each.name for each in HOOK_CLASSES}
    shown |= {name.rpartition(".")[2] for page in PAGES.values() for name in page.others}
    assert {*singerkit.__all__, *singerkit_testing.__all__} - {"__version__"} <= shown


@pytest.mark.parametrize("shown", HOOK_CLASSES, ids=lambda shown: shown.name)
def test_every_hook_was_called_or_says_when_it_is(shown, trees):
    cls, called = class_of(shown), hooks_called(shown, trees)
    static = {name: inspect.getattr_static(cls, name) for name in members(cls)}
    marked = [name for name, member in static.items() if getattr(member, "is_default_hook", False)]
    assert called
    assert not [name for name in marked if name not in called and name not in shown.on_demand]
    assert not [name for name in shown.on_demand if name in called or not is_own(cls, name)]
    assert not [name for name in shown.engine if not any(name in {**vars(o), **o.__annotations__} for o in owners(cls))]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("singerkit.streams.core", "Stream"),
        ("singerkit.streams.rest", "RESTStream"),
        ("singerkit.streams.graphql", "GraphQLStream"),
        ("singerkit.sinks.core", "BatchSink"),
    ],
)
def test_the_modules_say_the_same_order(module, name, trees):
    """Hooks are listed in the docstrings too, for who reads the code."""
    shown = next(each for each in HOOK_CLASSES if each.name == name)
    called = hooks_called(shown, trees)
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", import_module(module).__doc__)
    listed = max((_hooks_in(block, called) for block in blocks), key=len)
    first = [hook for hook in dict.fromkeys(listed) if hook not in ("context", "record")]
    assert len(first) > 3
    assert first == sorted(first, key=called.index)


def _hooks_in(block, called):
    lines = [line.strip().partition("  ")[0] for line in block.splitlines()]
    return [hook for line in lines for hook in re.findall(r"(\w+)(?:\(|,|$)", line) if hook in called]


def test_the_index_lists_the_pages():
    index = (DOCS / "authoring.md").read_text(encoding="utf-8")
    pages = {page.stem for page in (DOCS / "authoring").glob("*.md")}
    assert pages == {*PAGES, "types"}
    assert all(f"\nauthoring/{name}\n" in index for name in pages)
