"""The platforms that files can be written for, and what can be chosen for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Platform(NamedTuple):
    """What is different on a platform.

    Shape: ``options`` are the choices that make sense on it; ``keeps_files`` says that a run finds the files of the run
    before, so that the state may be one; ``in_repository`` says that it looks for its files from the top of the Git
    repository.
    """

    sentence: str
    options: frozenset[str]
    keeps_files: bool = True
    in_repository: bool = False


_MACHINE = frozenset({"folder", "program"})
_MADE_ANEW = frozenset({"requirement", "variables"})

PLATFORMS: Mapping[str, Platform] = {
    "airflow": Platform("A file of DAGs for Airflow 3, one each pipeline.", _MACHINE),
    "dagster": Platform("Definitions for Dagster: an asset, a job and a schedule each pipeline.", _MACHINE),
    "github-actions": Platform(
        "A workflow each pipeline for GitHub Actions.", _MADE_ANEW | {"shards"}, keeps_files=False, in_repository=True
    ),
    "gitlab-ci": Platform("Jobs for GitLab CI, to be included.", _MADE_ANEW | {"shards", "image"}, keeps_files=False),
    "docker": Platform(
        "A Dockerfile, services for Docker Compose, and a crontab.", _MADE_ANEW | {"folder", "image"}, keeps_files=False
    ),
    "kubernetes": Platform(
        "A CronJob each pipeline for Kubernetes.", frozenset({"image", "shards", "variables"}), keeps_files=False
    ),
    "systemd": Platform("A service and a timer each pipeline for systemd.", _MACHINE | {"user"}),
    "cron": Platform("Lines for a crontab.", _MACHINE),
}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What was said on the command line.

    Shape: ``pipelines`` empty means all; ``name`` is the project's, for what is named after it; ``folder`` and
    ``program`` are the project's folder and singerkit's program on the machine that runs it; ``shards`` is into how
    many shares a pipeline is divided; ``variables`` are names of variables that programs need besides those of
    singer.toml; ``requirement`` is what pip installs as singerkit.
    """

    pipelines: tuple[str, ...] = ()
    name: str = ""
    output: Path | None = None
    folder: str = ""
    program: str = ""
    image: str = ""
    requirement: str = ""
    user: str = ""
    variables: tuple[str, ...] = ()
    shards: Mapping[str, int] = field(default_factory=dict)

    def given(self) -> frozenset[str]:
        """Give the names of those that only some platforms have."""
        names = ("folder", "program", "image", "requirement", "user", "variables", "shards")
        return frozenset(name for name in names if getattr(self, name))
