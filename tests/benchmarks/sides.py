"""The two sides that are compared, and the environments the benchmark makes for what it compares with."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import Command

PEER_DISTRIBUTION = "singer-sdk"
PEER_VERSION = "0.54.9"
REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".benchmarks"
BYTE_CODE = CACHE / "bytecode"
CONNECTORS = Path(__file__).resolve().parent / "connectors"


class PeerUnavailable(Exception):
    """An environment is missing or could not be made; the message says why."""


@dataclass(frozen=True)
class Side:
    """One SDK: its name in the table, its import package, the interpreter that has it installed."""

    name: str
    package: str
    python: Path
    version: str
    share: int
    """Of how many records this side runs one; rates are per record, so the sides stay comparable."""

    def tap(self, *arguments: str | Path) -> Command:
        """Give the command of the benchmark's tap, built with this SDK."""
        return Command([self.python, CONNECTORS / "tap.py", *arguments], self._environment())

    def target(self, *arguments: str | Path) -> Command:
        """Give the command of the benchmark's target, built with this SDK."""
        return Command([self.python, CONNECTORS / "target.py", *arguments], self._environment())

    def empty_python(self) -> Command:
        """Give the command that starts this side's interpreter and does nothing."""
        return Command([self.python, "-c", "pass"], self._environment())

    def records_of(self, records: int) -> int:
        """Say how many of `records` this side runs: at least one, unless none is asked for."""
        return max(records // self.share, 1) if records else 0

    def _environment(self) -> Mapping[str, str]:
        own_path = path_of_singerkit() if self.package == "singerkit" else {}
        return environment(BENCHMARK_SDK=self.package, **own_path)


def path_of_singerkit() -> Mapping[str, str]:
    """Give where the caller says that singerkit is, as another checkout than the installed one can be measured too."""
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}


def environment(**more: str) -> Mapping[str, str]:
    """Give the caller's environment without its settings of Python, and a cache of byte code.

    A variable such as PYTHONDONTWRITEBYTECODE would make one side compile its modules at every start, while the
    other's were compiled when it was installed. With a cache of the benchmark's own both find theirs alike.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPYCACHEPREFIX": str(BYTE_CODE), **more}


def open_singerkit() -> Side:
    """Give the side of singerkit: the interpreter that runs the benchmark."""
    python = Path(sys.executable)
    return Side("singerkit", "singerkit", python, _version(python, "singerkit"), share=1)


def open_singer_sdk(*, install: bool) -> Side:
    """Give the side of singer-sdk, and make its environment where it is missing; errors: see `open_environment`."""
    python = open_environment(PEER_DISTRIBUTION, PEER_VERSION, install=install)
    return Side("singer-sdk", "singer_sdk", python, _version(python, PEER_DISTRIBUTION), share=5)


def open_environment(
    distribution: str, version: str, *, install: bool, extras: str = "", with_too: Sequence[str] = ()
) -> Path:
    """Give the Python that has a distribution of PyPI; make its environment below `.benchmarks/` where it is missing.

    `with_too` are distributions that it needs and does not name itself, as requirements.

    Errors: PeerUnavailable when it is missing and may not be made (`install` is false) or cannot be.
    """
    names = "-".join([distribution, version, *(requirement.partition("=")[0] for requirement in with_too)])
    folder = CACHE / f"{names}-python{sys.version_info.major}.{sys.version_info.minor}"
    complete = folder / "complete"
    python = folder / "bin" / "python"
    if not complete.exists():
        if not install:
            raise PeerUnavailable(f"{distribution} {version} is not installed in {folder}")
        _make_environment(folder, python, f"{distribution}{extras}=={version}", *with_too)
        complete.touch()
    return python


def _make_environment(folder: Path, python: Path, *requirements: str) -> None:
    CACHE.mkdir(exist_ok=True)
    if uv := _uv():
        _call(*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _call(*uv, "pip", "install", "--quiet", "--python", str(python), *requirements)
    else:
        _call(sys.executable, "-m", "venv", "--clear", str(folder))
        _call(str(python), "-m", "pip", "install", "--quiet", *requirements)


def _uv() -> list[str]:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    return [found] if found else []


def _call(*arguments: str) -> None:
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PeerUnavailable(f"`{Path(arguments[0]).name} {' '.join(arguments[1:])}` failed:\n{result.stderr.strip()}")


def _version(python: Path, distribution: str) -> str:
    question = f"from importlib.metadata import version; print(version({distribution!r}))"
    result = subprocess.run([python, "-c", question], capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"
