"""The programs that resolve and install packages: uv where there is one, else pip."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from singerkit.errors import ConfigurationError, SingerKitError
from singerkit.telemetry.redact import Redactor, escape_controls

_SHOWN_LINES = 15
_HASH = " --hash="


class InstallError(SingerKitError):
    """A package could not be resolved or installed; ``errors`` are the last lines that the tool wrote."""

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([message, *errors]))
        self.errors = list(errors)


class Tool(ABC):
    """Makes environments; relative paths in requirements begin at ``folder``."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.folder = folder
        self._redactor = redactor

    @abstractmethod
    def resolve(self, packages: Sequence[str], python: str) -> tuple[str, ...]:
        """Give everything that packages need, exactly: a requirement each, with hashes where there can be any.

        Errors: ``InstallError`` with the tool's own words.
        """

    @abstractmethod
    def make(self, environment: Path, python: str, requirements: Sequence[str]) -> None:
        """Make an environment in a folder that is not there yet, of exactly these requirements.

        Errors: as :meth:`resolve`.
        """

    def _run(self, doing: str, *words: str, text: str = "") -> str:
        done = subprocess.run(  # noqa: S603 - a tool that the user has installed
            words, input=text, capture_output=True, encoding="utf-8", errors="replace", cwd=self.folder, check=False
        )
        if done.returncode == 0:
            return done.stdout
        written = self._redactor.redact(done.stderr or done.stdout)
        lines = [escape_controls(line) for line in written.splitlines() if line.strip()]
        raise InstallError(f"{doing} failed (exit code {done.returncode})", lines[-_SHOWN_LINES:])


class Uv(Tool):
    """uv: the resolution holds for every platform."""

    def __init__(self, program: str, folder: Path, redactor: Redactor) -> None:
        super().__init__(folder, redactor)
        self._program = program

    def resolve(self, packages: Sequence[str], python: str) -> tuple[str, ...]:
        """Let `uv pip compile` resolve."""
        options = ["--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
        found = self._run(
            f"resolving {', '.join(packages)}",
            *(self._program, "pip", "compile", "-", *options, "--python", python or sys.executable),
            text="\n".join(packages),
        )
        lines = re.sub(r"\\\n\s*", "", found).splitlines()
        return tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))

    def make(self, environment: Path, python: str, requirements: Sequence[str]) -> None:
        """Let `uv venv` and `uv pip sync` make it."""
        self._run("uv venv", self._program, "venv", "--quiet", "--python", python or sys.executable, str(environment))
        options = ["--quiet", "--allow-empty-requirements", "--python", str(environment / "bin/python")]
        if any(map(is_local, requirements)) and not os.environ.get("UV_OFFLINE"):  # uv knows only one of them
            options.append("--refresh")  # uv takes a folder for unchanged as long as its pyproject.toml is
        with _requirements_file(requirements, self.folder) as path:
            self._run("uv pip sync", self._program, "pip", "sync", *options, str(path))


class Pip(Tool):
    """venv and pip: the resolution holds for this platform and this Python."""

    def resolve(self, packages: Sequence[str], python: str) -> tuple[str, ...]:
        """Let pip report what it would install."""
        with TemporaryDirectory() as name:
            environment, report = Path(name) / "environment", Path(name) / "report.json"
            self._make_empty(environment, python)
            options = ["--dry-run", "--ignore-installed", "--report", str(report)]
            self._install(f"resolving {', '.join(packages)}", environment, packages, options)
            installs = json.loads(report.read_text(encoding="utf-8"))["install"]
        return tuple(sorted(map(self._requirement, installs)))

    def make(self, environment: Path, python: str, requirements: Sequence[str]) -> None:
        """Install what has hashes by them, then what can't have any: folders and repositories."""
        self._make_empty(environment, python)
        hashed = [line for line in requirements if _HASH in line]
        others = [line for line in requirements if _HASH not in line]
        for lines, options in ((hashed, ["--require-hashes"]), (others, [])):
            if lines:
                self._install("pip install", environment, lines, ["--no-deps", *options])

    def _make_empty(self, environment: Path, python: str) -> None:
        program = shutil.which(python) or shutil.which(f"python{python}") if python else sys.executable
        if program is None:
            raise ConfigurationError(f"there is no Python '{python}' on PATH")
        # Our own pip installs into it, if we have one: giving it a pip takes longer than all the rest.
        options = ["--without-pip"] if find_spec("pip") else []
        self._run("making a virtual environment", program, "-m", "venv", *options, str(environment))

    def _install(self, doing: str, environment: Path, requirements: Sequence[str], options: Sequence[str]) -> None:
        interpreter = str(environment / "bin/python")
        pip = [sys.executable, "-m", "pip", "--python", interpreter] if find_spec("pip") else [interpreter, "-m", "pip"]
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
        with _requirements_file(requirements, self.folder) as path:
            self._run(doing, *pip, "install", *quiet, *options, "--requirement", str(path))

    def _requirement(self, install: dict[str, Any]) -> str:
        """Make a requirement of an entry of pip's report.

        Source: https://pip.pypa.io/en/stable/reference/installation-report/
        """
        name, version = install["metadata"]["name"], install["metadata"]["version"]
        source = install["download_info"]
        hashes = (source.get("archive_info") or {}).get("hashes") or {}
        digest = f"{_HASH}sha256:{hashes['sha256']}" if "sha256" in hashes else ""
        if not install.get("is_direct"):
            return f"{name}=={version}{digest}"
        if repository := source.get("vcs_info"):
            return f"{name} @ {repository['vcs']}+{source['url']}@{repository['commit_id']}"
        local = source["url"].removeprefix(f"file://{self.folder}/")
        if local != source["url"]:  # as it was asked for: a path that holds wherever the project is
            editable = "-e " if (source.get("dir_info") or {}).get("editable") else ""
            return f"{editable}./{local}{digest}"
        return f"{name} @ {source['url']}{digest}"


_LOCAL = re.compile(r"^(?P<editable>-e\s+|--editable[\s=]+)?(?P<path>\.{1,2}(/|$).*)")


@contextmanager
def _requirements_file(requirements: Sequence[str], folder: Path) -> Iterator[Path]:
    """Write requirements for a tool, relative paths as absolute ones: in a file they begin at the file's folder."""
    lines = [
        f"{local['editable'] or ''}{os.path.normpath(folder)}/{local['path']}"
        if (local := _LOCAL.match(line))
        else line
        for line in requirements
    ]
    with TemporaryDirectory() as name:
        path = Path(name) / "requirements.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        yield path


def is_local(requirement: str) -> bool:
    """Tell whether a requirement is a path below the project's folder or beside it, or a folder anywhere."""
    return bool(_LOCAL.match(requirement)) or "/" in requirement.split(" @ ")[0] or " @ file:" in requirement


def find_tool(folder: Path, redactor: Redactor) -> Tool:
    """Give uv where it is on PATH or beside our Python, else pip; SINGERKIT_INSTALLER=pip chooses pip."""
    if os.environ.get("SINGERKIT_INSTALLER") != "pip":
        beside = str(Path(sys.executable).parent)
        if program := shutil.which("uv") or shutil.which("uv", path=beside):
            return Uv(program, folder, redactor)
    return Pip(folder, redactor)
