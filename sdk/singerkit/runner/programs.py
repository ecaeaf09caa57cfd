"""Programs as commands: with their config in a private file, and an environment of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

from singerkit.config.secrets import secret_values
from singerkit.runner.job import Job, Program
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.supervise.children import Command


def commands_of(job: Job, files: PrivateFolder) -> list[Command]:
    """Give the commands of a job in the order of the pipe; no two have the same name."""
    programs = [job.tap, *job.mappers, job.target]
    return [command_of(job, program, name, files) for program, name in _named(programs)]


def command_of(job: Job, program: Program, name: str, files: PrivateFolder) -> Command:
    """Give a program of a job as a command."""
    argv = list(program.argv)
    if program.config is not None:
        path = files.write_config(name, program.config, writes_back=program.writes_back)
        argv += ["--config", str(path)]
    environment = {key: value for key, value in os.environ.items() if key not in job.withheld}
    return Command(
        name=name,
        argv=argv,
        environment={**environment, **program.environment},
        groups=files.path / "groups",
        folder=program.folder,
    )


def secrets_taken_over(job: Job, files: PrivateFolder) -> Iterator[str]:
    """Give the secrets in place of those that programs have changed: rotated tokens are as secret as the first ones."""
    for program, name in _named([job.tap, *job.mappers, job.target]):
        settings = files.taken_over.get(name, {})
        yield from secret_values(settings, {})
        for setting, value in settings.items():
            if isinstance(value, str) and (program.config or {}).get(setting) in program.secrets:
                yield value


def _named(programs: list[Program]) -> Iterator[tuple[Program, str]]:
    seen: dict[str, int] = {}
    for program in programs:
        count = seen[program.name] = seen.get(program.name, 0) + 1
        yield program, program.name if count == 1 else f"{program.name}-{count}"
