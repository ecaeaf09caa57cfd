"""One scaffolded project in an environment of its own, doing what its README and its continuous integration say."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import scaffolded
import written

UV = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
_TRY = re.compile(r"## Try it\n.*?```console\n(.*?)```", re.DOTALL)
#: What a project has to do without: all but the loopback.
_OFFLINE = {
    "UV_OFFLINE": "1",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
}


class Workshop:
    """Where projects are made and checked: a wheel of singerkit, its program, and the time that each step took."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Build the wheel of a checkout, and install it."""
        self.folder = folder
        self.seconds: dict[str, float] = {}
        wheels = folder / "wheels"
        scaffolded.run([UV, "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(root)], root)
        (self.wheel,) = wheels.glob("*.whl")
        self.environment = {"UV_FIND_LINKS": str(wheels), "UV_NO_PROGRESS": "1", "VIRTUAL_ENV": "", "PYTHONPATH": ""}
        self.environment["PATH"] = f"{Path(UV).parent}{os.pathsep}{os.environ['PATH']}"
        venv = folder / "venv"
        scaffolded.run([UV, "venv", "--quiet", str(venv)], folder, **self.environment)
        wanted = f"singerkit[scaffold] @ {self.wheel.as_uri()}"
        install = [UV, "pip", "install", "--quiet", "--python", str(venv / "bin/python"), wanted]
        scaffolded.run(install, folder, **self.environment)
        self.program = str(venv / "bin/singerkit")

    def check(self, kind: str, answers: Mapping[str, str], expected: Mapping[str, bytes]) -> None:
        """Make a project, which has to have the expected files, and install, check, test and run it.

        Errors: ``AssertionError`` for the first thing that fails.
        """
        with TemporaryDirectory(dir=self.folder) as place:
            self._check(kind, answers, expected, Path(place))

    def _check(self, kind: str, answers: Mapping[str, str], expected: Mapping[str, bytes], place: Path) -> None:
        with self._timed("make"):
            project = scaffolded.make(kind, answers, "sample", place, self.program)
        made = written.contents(project)
        assert made == expected, [name for name in {**made, **expected} if made.get(name) != expected.get(name)]
        with self._timed("install"):
            scaffolded.run("uv sync --quiet", project, **self.environment)
        cache = str(self.folder / f"mypy-{threading.get_ident()}")
        offline = {**self.environment, **_OFFLINE, "MYPY_CACHE_DIR": cache, "PYTEST_ADDOPTS": "-q"}
        said = []
        for command in _commands(project):
            with self._timed(_step(command)):
                said.append(scaffolded.run(command, project, **offline))
        assert _is_stored(kind, answers.get("source", ""), project, said), "the runs stored nothing"

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = self.seconds.get(step, 0) + time.monotonic() - began


def _commands(project: Path) -> list[str]:
    """Give the commands of continuous integration and of the README, each once, and the demo's pipeline."""
    (shown,) = _TRY.findall((project / "README.md").read_text(encoding="utf-8"))
    own = re.findall(r"^\$ (.*)$", shown, re.MULTILINE)
    demo = ["uv run singerkit run demo"] if "demo" in written.pipelines(project) else []
    return [*written.CHECKS, *(f"{command} 2>&1" for command in own if command not in written.CHECKS), *demo]


def _step(command: str) -> str:
    return next((word for word in ("ruff", "mypy", "pytest") if word in command.split()), "run")


def _is_stored(kind: str, source: str, project: Path, said: list[str]) -> bool:
    """Tell whether the runs have stored something: in the demo of a REST target, an API that says so."""
    if (kind, source) == ("target", "rest"):
        return any("/orders: {'id': 11" in text for text in said)
    tables = {"sql": "orders", "other": "documents"} if kind == "target" else {}
    if source in tables:
        with closing(sqlite3.connect(project / "output.sqlite")) as database:
            return bool(database.execute(f"SELECT * FROM {tables[source]}").fetchall())
    return bool(list(scaffolded.stored(project)))
