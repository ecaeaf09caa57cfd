"""From a project and choices to the files of a platform; writing them, and seeing whether they are up to date."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from getpass import getuser
from pathlib import Path
from typing import Any

from singerkit import __version__
from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.runner.deploy.facts import (
    Needs,
    PipelineFacts,
    environment_words,
    extras_of,
    packages_of,
    pipeline_facts,
    slug_of,
)
from singerkit.runner.deploy.platforms import PLATFORMS, Choices
from singerkit.runner.deploy.templates import NOTES, Templates
from singerkit.runner.project import Project

_MARK = "Written by `singerkit deploy "
#: The Python where the files bring one: not that of this machine, so that all machines write the same.
_PYTHON = "3.13"


@dataclass(frozen=True)
class Deployment:
    """The files of a platform.

    Shape: ``files`` maps paths below ``folder`` to texts; ``stale`` are files that the same command wrote before and
    does not write any more; ``notes`` is what a person has to do; ``warnings`` what will not work as it is.
    """

    folder: Path
    files: Mapping[str, str]
    notes: str
    warnings: tuple[str, ...]
    banner: str

    def drift(self) -> Iterator[str]:
        """Give a line for each file that is missing, different, or there too much."""
        for name, text in self.files.items():
            path = self.folder / name
            if not path.is_file():
                yield f"{path} is missing"
            elif _read(path) != text:
                yield f"{path} differs"
        yield from (f"{path} is not needed any more" for path in self._stale())

    def write(self) -> Iterator[Path]:
        """Write the files, and remove those not needed any more; gives each path that is written.

        Errors: ``ConfigurationError`` for a file in the way that was not written by this command, before anything is
        written; or where it can't be written.
        """
        paths = {self.folder / name: text for name, text in self.files.items()}
        for path in paths:
            if path.exists() and not (path.is_file() and _MARK in _read(path)):
                raise ConfigurationError(f"{path} is there, and not of `singerkit deploy`: move it, or use --output")
        try:
            for path in self._stale():
                path.unlink()
            for path, text in paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                yield path
        except OSError as error:
            raise ConfigurationError(f"can't write {error.filename or self.folder}: {error.strerror}") from None

    def _stale(self) -> Iterator[Path]:
        """Give the files beside ours that have our banner."""
        folders = {(self.folder / name).parent for name in self.files}
        ours = {self.folder / name for name in self.files}
        for folder in sorted(folders):
            for path in sorted(folder.glob("*")) if folder.is_dir() else ():
                if path not in ours and path.is_file() and self.banner in _read(path):
                    yield path


def plan_deployment(project: Project, platform: str, choices: Choices) -> Deployment:
    """Fill in the templates of a platform.

    Errors: ``ConfigurationError`` for what is not there or does not fit; ``MissingExtraError``.
    """
    _check(project, platform, choices)
    said = choices
    choices = _completed(project, platform, choices)
    pipelines = [pipeline_facts(project, name, choices) for name in choices.pipelines or project.pipelines]
    _check_names(project, platform, choices, pipelines)
    folder = _output(project, platform, choices)
    banner = f"{_MARK}{shlex.join(_words(project, platform, said, choices))}`"
    facts = _facts(project, platform, choices, pipelines, folder, banner)
    templates = Templates(platform)
    files = dict(_filled(templates, facts, pipelines))
    return Deployment(folder, files, templates.fill(NOTES, facts), tuple(_warnings(project, platform)), banner)


def _filled(
    templates: Templates, facts: Mapping[str, Any], pipelines: list[PipelineFacts]
) -> Iterator[tuple[str, str]]:
    for pattern in templates.names():
        name = pattern.replace("@project@", facts["slug"]).replace("@identifier@", facts["identifier"])
        if "@pipeline@" not in name:
            each = [(name, templates.fill(pattern, facts))]
        else:
            each = [
                (name.replace("@pipeline@", pipeline.slug), templates.fill(pattern, {**facts, "pipeline": pipeline}))
                for pipeline in pipelines
            ]
        yield from ((path, text) for path, text in each if text)


def _facts(
    project: Project, platform: str, choices: Choices, pipelines: list[PipelineFacts], folder: Path, banner: str
) -> dict[str, Any]:
    slug = slug_of(choices.name, project.environment or "")
    below = project.folder.relative_to(_repository(project))
    packages = packages_of(project, [pipeline.name for pipeline in pipelines])
    chosen = choices.pipelines
    return {
        "banner": f"{banner}: change singer.toml and run it again.",
        "slug": slug,
        "identifier": slug.replace("-", "_"),
        "below": str(below),
        "output": folder,
        "choices": choices,
        "pipelines": pipelines,
        "status": ("status", *chosen, *environment_words(project)),
        "status_needs": Needs.of(project.settings.state.url, choices.variables),
        "needs": _all_needs(pipelines),
        "install_needs": Needs.of(packages),
        "needs_git": any("git+" in package for package in packages),
        "install": tuple(dict.fromkeys(word for each in pipelines for word in each.install[1:] if word[:1] != "-")),
        "environment_words": environment_words(project),
        "python": _PYTHON,
        "path": f"{Path(choices.program).parent}:/usr/local/bin:/usr/bin:/bin",
        "context": os.path.relpath(project.folder, folder),
        "from_context": os.path.relpath(folder, project.folder),
        "included": os.path.relpath(folder, _repository(project)),
        "folder_there": os.path.normpath(Path(choices.folder) / os.path.relpath(folder, project.folder)),
    }


def _all_needs(pipelines: list[PipelineFacts]) -> Needs:
    variables = {each.name: each for pipeline in pipelines for each in pipeline.needs.variables}
    files = {path for pipeline in pipelines for path in pipeline.needs.files}
    return Needs(tuple(variables[name] for name in sorted(variables)), tuple(sorted(files)))


def _check(project: Project, platform: str, choices: Choices) -> None:
    if not project.pipelines:
        raise ConfigurationError(f"{project.path} has no pipelines: there is nothing to deploy")
    if strange := sorted(choices.given() - PLATFORMS[platform].options):
        option = {"variables": "variable"}.get(strange[0], strange[0])
        raise ConfigurationError(f"--{option} means nothing for {platform}")
    for name in choices.shards:
        if name not in (choices.pipelines or project.pipelines):
            raise ConfigurationError(f"--shards: there is no pipeline '{name}'{suggestion(name, project.pipelines)}")


def _check_names(project: Project, platform: str, choices: Choices, pipelines: list[PipelineFacts]) -> None:
    """Refuse names that would be the same on the platform, or too long for it.

    Source: a CronJob's name has at most 52 characters (Kubernetes, "CronJob limitations").
    """
    taken = {slug_of(choices.name, project.environment or "", "status"): "the check of the status"}
    for pipeline in pipelines:
        if other := taken.get(pipeline.slug):
            raise ConfigurationError(f"{pipeline.name} and {other} would both be called '{pipeline.slug}': rename one")
        if platform == "kubernetes" and len(f"singerkit-{pipeline.slug}") > 52:
            raise ConfigurationError(
                f"singerkit-{pipeline.slug} is too long a name for a CronJob: shorten the project's with --name"
            )
        taken[pipeline.slug] = pipeline.name


def _completed(project: Project, platform: str, choices: Choices) -> Choices:
    """Give the choices with what follows from this machine and project, where nothing was said."""
    name = slug_of(choices.name or project.folder.name) or "project"
    extras = sorted(extras_of(project, choices.pipelines or project.pipelines))
    beside = Path(sys.executable).parent / "singerkit"
    program = str(beside) if beside.is_file() else shutil.which("singerkit") or "singerkit"
    image = f"python:{_PYTHON}-slim" if platform == "gitlab-ci" else name
    return replace(
        choices,
        name=name,
        folder=choices.folder or str(project.folder),
        program=choices.program or program,
        image=choices.image or image,
        requirement=choices.requirement or f"singerkit[{','.join(extras)}]=={__version__}",
        user=choices.user or getuser(),
    )


def _words(project: Project, platform: str, said: Choices, choices: Choices) -> Iterator[str]:
    """Give the command that writes the same again, on any machine."""
    yield from (platform, *choices.pipelines, *environment_words(project))
    if said.output:
        yield from ("--output", os.path.relpath(said.output, project.folder))
    yield from ("--name", choices.name)
    options = PLATFORMS[platform].options
    for name in ("folder", "program", "user"):
        if name in options:
            yield from (f"--{name}", getattr(choices, name))
    for name in ("image", "requirement"):
        if getattr(said, name):
            yield from (f"--{name}", getattr(said, name))
    for pipeline, count in said.shards.items():
        yield from ("--shards", f"{pipeline}={count}")
    for variable in said.variables:
        yield from ("--variable", variable)


def _output(project: Project, platform: str, choices: Choices) -> Path:
    if choices.output:
        return choices.output.absolute()
    if PLATFORMS[platform].in_repository:
        return _repository(project)
    return project.folder / "deploy" / platform


def _repository(project: Project) -> Path:
    """Give the folder of the Git repository that the project is in; the project's where there is none."""
    folders = (project.folder, *project.folder.parents)
    return next((folder for folder in folders if (folder / ".git").exists()), project.folder)


def _warnings(project: Project, platform: str) -> Iterator[str]:
    url = project.settings.state.url
    is_shared = bool(url) and not url.startswith(("sqlite:", "file:"))
    on_volume = platform == "docker" and url.startswith(("sqlite:////state/", "file:///state/"))
    if not PLATFORMS[platform].keeps_files and not is_shared and not on_volume:
        volume = ", or a file below /state, which is a volume here" if platform == "docker" else ""
        yield (
            f"the state is kept in {url or 'a file beside singer.toml'}, which is gone after each run on {platform}, "
            f"so every run would begin from the start: set state.url to postgresql://, s3://, gs:// or az://{volume}"
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # not a file of ours
