"""Installs and checks scaffolded projects of all kinds: `make test-scaffold`.

singerkit is built into a wheel, and the wheel makes each project in a virtual environment of its own: linted,
type-checked, tested, and run as its README says. Every two answers that go together are in at least one project; the
full product has nearly 900. The conformance suite takes most of the time: it is run for each kind of credentials and of
pages once; with SINGERKIT_SCAFFOLD=all by every project. SINGERKIT_SCAFFOLD=5 takes every fifth project.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import scaffolded

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
CHECKS = ["ruff check", "ruff format --check", "mypy"]
LEAVE_OUT = "not (TestTap or TestTarget or specification)"


def plan() -> Iterator[tuple[str, scaffolded.Answers, bool]]:
    """Give kind and answers of each project, and whether it runs its conformance suite."""
    seen: set[tuple[str, ...]] = set()
    for kind in ("mapper", "target", "tap"):
        for answers in scaffolded.covering(kind):
            web = (kind, answers.get("source", ""), answers.get("auth", "none"))
            pages = (kind, answers.get("source", ""), "pages", answers.get("paging", "none"))
            yield kind, answers, not {web, pages} <= seen
            seen |= {web, pages}


def check(kind: str, answers: scaffolded.Answers, folder: Path, wheels: Path, *, whole: bool) -> None:
    """Make a project with the wheel, in an environment that has nothing else, and do what its README says."""
    environment = {"UV_FIND_LINKS": str(wheels), "UV_NO_PROGRESS": "1", "VIRTUAL_ENV": "", "PYTHONPATH": ""}
    options = [word for option, value in answers.items() for word in (f"--{option}", value)]
    new = [
        UV,
        "tool",
        "run",
        "--from",
        f"singerkit[scaffold] @ {next(wheels.glob('*.whl')).as_uri()}",
        "singerkit",
        "new",
    ]
    scaffolded.run([*new, kind, "--name", "sample", *options, "--no-input"], folder, **environment)
    project = folder / f"{kind}-sample"
    scaffolded.run([UV, "sync", "--quiet"], project, **environment)
    for command in CHECKS:
        scaffolded.run([UV, "run", *command.split()], project, **environment)
    scaffolded.run(
        [UV, "run", "python", "-m", "pytest", "-q", *([] if whole else ["-k", LEAVE_OUT])], project, **environment
    )
    bin_folder = f"{project / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    scaffolded.run(scaffolded.first_run(kind, answers, project), project, PATH=bin_folder, PYTHONPATH="")
    if kind == "tap":
        scaffolded.run("singerkit run demo", project, PATH=bin_folder, PYTHONPATH="")
        assert list(scaffolded.stored(project)), "nothing was stored"


def main() -> int:
    """Check them all; gives the exit code."""
    mode = os.environ.get("SINGERKIT_SCAFFOLD", "1")
    step = int(mode) if mode.isdecimal() else 1
    planned, failed = list(plan())[::step], 0
    with TemporaryDirectory() as folder:
        wheels = Path(folder) / "wheels"
        scaffolded.run([UV, "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(ROOT)], ROOT)
        for number, (kind, answers, whole) in enumerate(planned, start=1):
            place, began = Path(folder) / str(number), time.monotonic()
            place.mkdir()
            try:
                check(kind, answers, place, wheels, whole=whole or mode == "all")
                outcome = "ok"
            except AssertionError as error:
                failed, outcome = failed + 1, f"FAILED {error}"
            shutil.rmtree(place)
            took = time.monotonic() - began
            print(
                f"{number}/{len(planned)} {kind} {' '.join(answers.values())} {took:.0f} s {outcome}",
                flush=True,
            )
    print(f"{len(planned) - failed} passed, {failed} failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
