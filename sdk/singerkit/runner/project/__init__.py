"""A project: singer.toml and the folder it is in; from names of pipelines to jobs.

Errors of all functions and methods here: ``ConfigurationError`` (exit code 2), naming file, line and setting.
"""

from singerkit.runner.project.project import (
    FILE_NAME,
    Notice,
    Packages,
    Project,
    find_project,
    load_project,
    required_project,
)
from singerkit.runner.project.reading import KINDS

__all__ = [
    "FILE_NAME",
    "KINDS",
    "Notice",
    "Packages",
    "Project",
    "find_project",
    "load_project",
    "required_project",
]
