"""A judgement as a table, JUnit XML, JSON, Markdown, a web page, or a badge.

Each writer takes a judgement and gives a text; `writer_for` finds it by the name of the file to be written.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from singerkit_testing.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singerkit_testing.judgement import Judgement

FORMATS = {".xml": "junit", ".json": "json", ".html": "html", ".md": "markdown", ".txt": "table"}
_BADGE = "badge"


def writer_for(destination: str) -> tuple[Callable[[Judgement], str], str]:
    """Find the writer and the file for ``report.html``, ``badge.json``, or ``junit:results``.

    Errors: ``HarnessError`` if neither the prefix nor the ending names a format.
    """
    prefix, colon, path = destination.partition(":")
    if colon and prefix in {*FORMATS.values(), _BADGE}:
        return _writer(prefix), path
    if PurePath(destination).name.endswith("badge.json"):
        return _writer(_BADGE), destination
    name = FORMATS.get(PurePath(destination).suffix)
    if name is None:
        raise HarnessError(
            f"no report format for {destination}: end its name in {', '.join(FORMATS)}, or write junit:{destination}"
        )
    return _writer(name), destination


def save(judgement: Judgement, destination: str) -> None:
    """Write a judgement into the file that `destination` names, see `writer_for`.

    Errors: ``HarnessError`` if that can't be done.
    """
    write, path = writer_for(destination)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(write(judgement), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise HarnessError(f"the report {path} can't be written: {error.strerror}") from error


def _writer(name: str) -> Callable[[Judgement], str]:
    # Imported at use: each format has its own library, and most runs want only one.
    write: Callable[[Judgement], str] = import_module(f"singerkit_testing.report.{name}").write
    return write
