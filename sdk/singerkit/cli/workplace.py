"""Where a command of the runner works: the project that it is about, if there is one, and the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from singerkit.errors import ConfigurationError
from singerkit.runner.project import Project, find_project, load_project
from singerkit.runner.store.base import StateStore
from singerkit.runner.store.open import default_url, open_store
from singerkit.telemetry.redact import redactor

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not found above."),
    click.option("--env", "environment", help="The environment of singer.toml to use."),
    click.option("--state-url", help="The store: sqlite:///..., postgresql://..., s3://..., file:///..."),
)


@dataclass(frozen=True)
class Workplace:
    """A project or none, and an open store.

    Shape: ``url`` is the store's; ``folder`` is where files are kept between runs.
    """

    project: Project | None
    store: StateStore
    url: str
    folder: Path


def workplace_options(function: _Function) -> _Function:
    """Add the options by which a workplace is named."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def complete_pipelines(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Give the pipelines of the project whose names begin so, for a shell."""
    try:
        path = find_project()
        names = load_project(path).pipelines if path else []
    except ConfigurationError:
        names = []  # a shell that completes has no room for what is wrong
    return [name for name in names if name.startswith(incomplete)]


def needed_project(path: Path | None, environment: str | None) -> Project:
    """Give the project of a command that can't do without one.

    Errors: ``ConfigurationError`` where there is none, or it can't be read.
    """
    path = path or find_project()
    if path is None:
        raise ConfigurationError("there is no singer.toml in this folder or above; `singerkit init` writes one")
    return load_project(path, environment)


@contextmanager
def workplace(project_path: Path | None, environment: str | None, state_url: str | None) -> Iterator[Workplace]:
    """Find the project and open the store, for as long as the context lasts.

    Errors: ``ConfigurationError`` for what is not there or can't be read; ``StoreError``.
    """
    path = project_path or find_project()
    if path is None and environment:
        raise ConfigurationError("--env needs a singer.toml, and there is none in this folder or above")
    project = load_project(path, environment) if path else None
    if project is not None and not state_url:
        redactor.add(project.state_secrets)
    url = state_url or (project.state_url if project else default_url())
    folder = project.folder / ".singerkit" if project else Path(default_url().removeprefix("sqlite:///")).parent
    store = open_store(url)
    try:
        yield Workplace(project, store, url, folder)
    finally:
        store.close()
