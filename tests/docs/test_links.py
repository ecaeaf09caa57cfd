"""Links inside the project lead somewhere: to a file that is there, and to a heading of it. So do those of errors.

Sphinx follows the links of its own pages only; those to other servers are followed by `make linkcheck`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from singerkit import help_pages
from singerkit.runner.supervise.outcome import Status

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "cookiecutter", "templates", "demo", "changes")
BELOW = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md") if "_build" not in path.parts]
PAGES = sorted([*BELOW, *ROOT.glob("*.md")])
CODE = re.compile(r"^```.*?^```|^~~~.*?^~~~|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
TARGET = re.compile(r"^\(([\w-]+)\)=$|\{#([\w-]+)\}|\bid=\"([\w-]+)\"", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def anchors_of(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    slugs = {slug_of(heading) for heading in HEADING.findall(text)}
    return slugs | {name for names in TARGET.findall(text) for name in names if name}


def slug_of(heading):
    """Give the anchor that GitHub and MyST make of a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain))


def links_of(path):
    return LINK.findall(CODE.sub("", path.read_text(encoding="utf-8")))


def problem_of(path, link):
    """Say what is wrong with a link, or nothing."""
    if re.match(r"[a-z][a-z+.-]*:", link) or "{{" in link:
        return None  # to another server, or filled in when a project is made
    file, _, anchor = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.exists():
        return f"{link}: there is no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors_of(target):
        return f"{link}: there is no such heading"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    assert not [problem for link in links_of(path) if (problem := problem_of(path, link))]


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "b.md").write_text("# One & two\n")
    page = tmp_path / "a.md"
    page.write_text("[x](b.md#one--two) [y](b.md#three) [z](c.md) `[n](d.md)` [w](https://example.com/x#y)\n")
    found = [problem_of(page, link) for link in links_of(page)]
    assert [problem.partition(":")[2] if problem else "" for problem in found] == [
        "",
        " there is no such heading",
        " there is no such file",
        "",
    ]


def test_the_pages_that_errors_name_are_there():
    named = [help_pages.page_on_error(name.lower()) for name in help_pages.SECTIONS]
    named += map(help_pages.page_on_error, (help_pages.MACHINE, help_pages.INTERNAL, help_pages.CONNECTOR_CODE))
    named += map(help_pages.page_on_run, Status)
    for file in (ROOT / "sdk").rglob("*.py"):
        calls = re.findall(r"\bpage\('([^']*)', '([^']*)'\)", file.read_text(encoding="utf-8"))
        named += [help_pages.page(*call) for call in calls]
    assert len(named) > len(help_pages.SECTIONS) + len(Status) + 3
    for address in named:
        name, _, section = address.removeprefix(f"{help_pages.DOCUMENTATION}/en/latest/").partition(".html#")
        anchors = anchors_of(ROOT / f"docs/{name}.md")
        assert section in anchors, address
        assert section == re.sub(r"[^a-z0-9]+", "-", section).strip("-"), "in the HTML it is called otherwise"


def test_the_address_is_that_of_the_project_s_metadata():
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Documentation"] == help_pages.DOCUMENTATION
