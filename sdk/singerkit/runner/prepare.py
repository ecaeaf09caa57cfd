"""The tables of a target, made once before many runs load them: it is given SCHEMA messages and nothing else."""

from __future__ import annotations

from pathlib import Path

from singerkit.errors import SyncError
from singerkit.runner.asking import Answer, ask
from singerkit.runner.catalogs import catalog_for
from singerkit.runner.job import Job
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.units import overwrites
from singerkit.telemetry.redact import Redactor


def prepare(job: Job, folder: Path) -> None:
    """Have the target make what the selected streams need; ``folder`` is for private files.

    The schemas are those that the tap itself writes where it knows ``--test=schema``; of other taps nothing is known
    before they run, so nothing is made. A target that overwrites is left alone: a run without records would put an
    empty table in the place of a full one.

    Errors: ``SyncError`` when the target refuses; ``ConfigurationError``.
    """
    if overwrites(job):
        return
    with PrivateFolder(folder) as files:
        redactor = Redactor(job.secrets)
        messages = _schemas(job, files)
        if not messages:
            return
        target = command_of(job, job.target, job.target.name, files)
        answer = ask(target, given=messages)
        if answer.code:
            raise SyncError(f"{target.name} could not be prepared {answer.failure(redactor)}")


def _schemas(job: Job, files: PrivateFolder) -> bytes:
    """Give the SCHEMA messages of the selected streams, as mappers make them, if the tap can write them alone."""
    tap = command_of(job, job.tap, job.tap.name, files)
    catalog = catalog_for(job, tap, files, Redactor(job.tap.secrets))
    options = [job.tap.catalog_option, str(catalog)] if catalog else []
    messages = _written(ask(tap, [*options, "--test=schema"]))
    for index, mapper in enumerate(job.mappers):
        messages = messages and _written(ask(command_of(job, mapper, f"mapper-{index}", files), given=messages))
    return messages


def _written(answer: Answer) -> bytes:
    return answer.output if answer.code == 0 else b""
