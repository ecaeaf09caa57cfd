"""Reads a connector's folder, and gives what is to change and what can't be moved."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from singerkit.errors import ConfigurationError
from singerkit.port.dependencies import Imported, port_pyproject
from singerkit.port.findings import DEPENDENCIES_PAGE, FILES_PAGE, Finding
from singerkit.port.overrides import DefinedClass, classes_in, missing_members, refused_overrides, without
from singerkit.port.requirements import is_old_requirement, new_requirement
from singerkit.port.source import PortedSource, is_test, port_source
from singerkit.port.third_party import modules_in

#: Folders that hold no code of the connector's.
_SKIPPED = frozenset(
    {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", ".venv", ".git", ".tox", ".nox", ".eggs"}
)
_MENTION = b"singer_sdk"


class Change(NamedTuple):
    """A file, before and after."""

    path: Path
    name: str
    before: bytes
    after: bytes

    def diff(self) -> str:
        """Give the change as a unified diff."""
        before, after = (
            text.decode("utf-8", "replace").splitlines(keepends=True) for text in (self.before, self.after)
        )
        return "".join(difflib.unified_diff(before, after, f"a/{self.name}", f"b/{self.name}"))


class Port(NamedTuple):
    """All that is to change, and all that a person has to look at, in the order of the files."""

    changes: list[Change]
    findings: list[Finding]
    stale_locks: list[str]

    def write(self) -> None:
        """Write the changes; each file is replaced as a whole.

        Errors: ``OSError``.
        """
        for change in self.changes:
            _replace(change.path, change.after)


def port_project(folder: Path) -> Port:
    """Plan the port of a folder; nothing is written.

    Errors: ``ConfigurationError`` when there is no such folder, or no Python in it.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"'{folder}' is no folder: name the one that has the connector's pyproject.toml")
    files = sorted(_python_files(folder))
    if not files:
        raise ConfigurationError(f"'{folder}' has no Python files: name the folder that has the connector's code")
    reading = _Reading(folder)
    for path in files:
        reading.read(path)
    reading.finish()
    findings = sorted(reading.findings, key=lambda finding: (finding.path, finding.line))
    locks = [name for name in ("uv.lock", "poetry.lock", "pdm.lock") if reading.asks_anew and (folder / name).exists()]
    return Port(reading.changes, findings, locks)


class _Reading:
    """What was read so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: list[Change] = []
        self.findings: list[Finding] = []
        self.asks_anew = False
        self._classes: list[DefinedClass] = []
        self._modules: set[str] = set()
        self._names: set[str] = set()
        self._test_names: set[str] = set()

    def read(self, path: Path) -> None:
        """Read a Python file."""
        name, code = path.relative_to(self.folder).as_posix(), path.read_bytes()
        try:
            ported = self._ported(code, name)
            self._modules |= modules_in(code)
        except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError) as error:
            line = getattr(error, "raw_line", None) or getattr(error, "lineno", None) or 1
            self.findings.append(Finding(name, line, "this is not Python that can be read, so it stays", FILES_PAGE))
            return
        self.findings += ported.findings
        (self._test_names if is_test(name) else self._names).update(ported.names)
        self._change(path, name, code, ported.code)

    def _ported(self, code: bytes, name: str) -> PortedSource:
        is_concerned = _MENTION in code
        ported = port_source(code, name) if is_concerned else PortedSource(code, [], frozenset())
        self._classes += without(ported.dropped, classes_in(code, name)) if b"class " in code else []
        return ported

    def finish(self) -> None:
        """Judge the classes, and rewrite what says what is to be installed."""
        self.findings += [*refused_overrides(self._classes), *missing_members(self._classes)]
        for path in sorted(self.folder.glob("requirements*.txt")):
            self._port_requirements(path)
        pyproject = self.folder / "pyproject.toml"
        if pyproject.exists():
            self._port_pyproject(pyproject)
        elif (self.folder / "setup.py").exists() or (self.folder / "setup.cfg").exists():
            reason = (
                "only pyproject.toml is rewritten: ask for singerkit where setup.py or setup.cfg asks for singer-sdk"
            )
            self.findings.append(Finding("setup.py", 1, reason, DEPENDENCIES_PAGE))

    def _port_pyproject(self, path: Path) -> None:
        before = path.read_bytes()
        imported = Imported(frozenset(self._modules), frozenset(self._names), frozenset(self._test_names))
        after = port_pyproject(_text_of(before, path), imported).encode("utf-8")
        self.asks_anew = after != before
        self._change(path, path.name, before, after)

    def _port_requirements(self, path: Path) -> None:
        before = path.read_bytes()
        lines = _text_of(before, path).splitlines(keepends=True)
        after = "".join(
            new_requirement(line.strip()) + "\n" if is_old_requirement(line.strip()) else line for line in lines
        )
        self._change(path, path.name, before, after.encode("utf-8"))

    def _change(self, path: Path, name: str, before: bytes, after: bytes) -> None:
        if after != before:
            self.changes.append(Change(path, name, before, after))


def _text_of(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"'{path.name}' is not UTF-8, so it can't be rewritten: save it as UTF-8") from None


def _python_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.endswith(".egg-info")]
        yield from (Path(place, name) for name in files if name.endswith(".py"))


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file, and put it in its place: who stops it half way has the one or the other."""
    beside = path.with_name(f".{path.name}.ported")
    beside.write_bytes(content)
    beside.chmod(path.stat().st_mode)
    beside.replace(path)
