"""Makes and checks scaffolded projects of all kinds: `make test-scaffold`.

Every combination of answers is made, and what its files say is checked. Those that differ by licence and by continuous
integration have the same connector, which is asserted. Each connector, with another licence and another CI each time,
is made again by the command of the wheel, in a virtual environment of its own, and does what its README and its CI say
without a network: it is linted, type-checked, tested with the whole conformance suite, and run to a target. So are taps
from OpenAPI documents.

A project that passed is not done again as long as neither singerkit, nor its files, nor these checks change: an
interrupted run goes on where it was. `make clean` forgets what passed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import scaffolded
import written
from installed import Workshop

from singerkit.scaffold.templates import KINDS, Template

ROOT = Path(__file__).parents[2]
PASSED = ROOT / ".scaffold/passed"
DOCUMENTS = Path(__file__).parent / "openapi"
NAME, LONG_NAME = "sample", "customer-relationship-management"


class Project(NamedTuple):
    """A combination of answers, and the project that was made of it."""

    kind: str
    answers: scaffolded.Answers
    folder: Path

    @property
    def label(self) -> str:
        """What it is called in the log."""
        return " ".join([self.kind, *(Path(answer).name for answer in self.answers.values())])


def main() -> int:
    """Check them all; gives the exit code."""
    options = _options()
    began = time.monotonic()
    with TemporaryDirectory() as name:
        folder = Path(name)
        projects, documented = make_all(folder / "all", options.workers), make_documented(folder / "all")
        check_files([*projects, *documented], folder / "all")
        alike = by_connector(projects)
        combined, seconds = sum(map(len, alike)), time.monotonic() - began
        print(f"{combined} combinations of {len(alike)} connectors are well-formed, after {seconds:.0f} s", flush=True)
        # Of each connector another licence and another CI.
        chosen = [*documented, *(group[number % len(group)] for number, group in enumerate(alike))]
        chosen = [each for each in chosen if set(options.words) <= set(each.label.split())][:: options.every]
        failed = check_connectors(chosen, Workshop(folder, ROOT), options.workers)
    print(f"after {(time.monotonic() - began) / 60:.1f} min: {f'{failed} failed' if failed else 'all passed'}")
    return int(bool(failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/cookiecutter", description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="install those only that all of these describe, such as: tap graphql")
    parser.add_argument("--workers", type=int, default=2, help="projects at a time")
    parser.add_argument("--every", type=int, default=1, help="install every n-th connector only")
    return parser.parse_args()


def make_all(folder: Path, workers: int) -> list[Project]:
    """Make every combination, and each connector once more with a long name, which must make no line too long."""
    combinations = [(kind, answers) for kind in reversed(KINDS) for answers in scaffolded.combinations(kind)]
    plain = [(kind, answers) for kind, answers in combinations if {answers["license"], answers["ci"]} == {"none"}]
    planned = [*((NAME, *each) for each in combinations), *((LONG_NAME, *each) for each in plain)]
    places = [folder / str(number) for number in range(len(planned))]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_make, planned, places, chunksize=12))


def _make(planned: tuple[str, str, scaffolded.Answers], place: Path) -> Project:
    name, kind, answers = planned
    place.mkdir(parents=True)
    return Project(kind, answers, Template(kind).make({"name": name, **answers}, place))


def make_documented(folder: Path) -> list[Project]:
    """Make a tap from each of the documents."""
    projects = []
    for document in sorted(DOCUMENTS.iterdir()):
        answers, place = {"from-openapi": str(document)}, folder / document.stem
        place.mkdir()
        projects.append(Project("tap", answers, scaffolded.make("tap", answers, NAME, place)))
    return projects


def check_files(projects: list[Project], folder: Path) -> None:
    """Check what the files of all projects say.

    Errors: ``AssertionError`` with all that is wrong.
    """
    assumed = {"license": "Apache-2.0", "ci": "github"}
    problems = [problem for each in projects for problem in written.problems_of(each.folder, assumed | each.answers)]
    assert not problems, "\n".join(problems)
    for command in (["check"], ["format", "--check"]):
        scaffolded.run([sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache", "."], folder)


def by_connector(projects: list[Project]) -> list[list[Project]]:
    """Give the projects that have the same connector together, without those of a long name.

    Errors: ``AssertionError`` when it is not by licence and CI that they differ.
    """
    alike: dict[str, list[Project]] = {}
    for each in projects:
        if not each.folder.name.endswith(LONG_NAME):
            alike.setdefault(written.connector_digest(each.folder), []).append(each)
    for group in alike.values():
        differences = {(each.answers["license"], each.answers["ci"]) for each in group}
        assert len(differences) == len(group) == 12, f"licence or CI changed more than their files: {group}"
    return list(alike.values())


class Progress:
    """What passed, in this run and before, and how many failed."""

    def __init__(self, basis: bytes) -> None:
        """``basis``: what all projects depend on besides their files."""
        self.failures = 0
        self._basis = basis
        self._lock = threading.Lock()
        self._passed = set(PASSED.read_text().split()) if PASSED.exists() else set()

    def has_passed(self, project: Project) -> bool:
        """Tell whether the same project has passed before."""
        return self._key(project) in self._passed

    def note(self, project: Project, seconds: float, problem: str) -> None:
        """Say how a project ended, and keep it if it passed."""
        with self._lock:
            if problem:
                self.failures += 1
            else:
                PASSED.parent.mkdir(exist_ok=True)
                with PASSED.open("a") as file:
                    file.write(f"{self._key(project)}\n")
            print(f"{project.label}: {f'FAILED {problem}' if problem else 'ok'} after {seconds:.0f} s", flush=True)

    def _key(self, project: Project) -> str:
        files = repr(sorted(written.contents(project.folder).items())).encode()
        return hashlib.sha256(self._basis + files).hexdigest()


def check_connectors(projects: list[Project], workshop: Workshop, workers: int) -> int:
    """Install and check projects, some at a time; gives how many failed."""
    progress = Progress(_basis(workshop))
    left = [project for project in projects if not progress.has_passed(project)]
    print(f"{len(projects) - len(left)} of {len(projects)} have passed before", flush=True)

    def check(project: Project) -> None:
        began, problem = time.monotonic(), ""
        try:
            workshop.check(project.kind, project.answers, written.contents(project.folder))
        except AssertionError as error:
            problem = str(error)
        progress.note(project, time.monotonic() - began, problem)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(check, left))
    print(", ".join(f"{step} {seconds:.0f} s" for step, seconds in workshop.seconds.items()))
    return progress.failures


def _basis(workshop: Workshop) -> bytes:
    """Give what all projects depend on, besides their files."""
    own = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("[!t]*.py")))
    return hashlib.sha256(workshop.wheel.read_bytes() + own + sys.version.encode()).digest()


if __name__ == "__main__":
    sys.exit(main())
