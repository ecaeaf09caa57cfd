"""The tables of a target, made once before many runs load them: it is given SCHEMA messages and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from singerkit.errors import SyncError
from singerkit.runner.catalogs import catalog_for
from singerkit.runner.job import Job
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.supervise.children import describe_code
from singerkit.runner.units import overwrites
from singerkit.telemetry.redact import Redactor

_SECONDS = 900


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
        redactor = Redactor(job.tap.secrets | job.target.secrets)
        messages = _schemas(job, files)
        if not messages:
            return
        target = command_of(job, job.target, job.target.name, files)
        target.check()
        ended = subprocess.run(  # noqa: S603 - what the user asks for is run
            list(target.argv),
            input=messages,
            capture_output=True,
            env=dict(target.environment),
            cwd=target.folder,
            timeout=_SECONDS,
        )
        if ended.returncode:
            log = redactor.redact(ended.stderr.decode("utf-8", "replace").strip()[-2_000:])
            how = describe_code(ended.returncode)
            raise SyncError(f"{target.name} could not be prepared ({how})\n{log}")


def _schemas(job: Job, files: PrivateFolder) -> bytes:
    """Give the SCHEMA messages of the selected streams, as mappers make them, if the tap can write them alone."""
    tap = command_of(job, job.tap, job.tap.name, files)
    tap.check()
    catalog = catalog_for(job, tap, files, Redactor(job.tap.secrets))
    options = [job.tap.catalog_option, str(catalog)] if catalog else []
    messages = _output([*tap.argv, *options, "--test=schema"], dict(tap.environment), tap.folder, b"")
    for index, mapper in enumerate(job.mappers):
        command = command_of(job, mapper, f"mapper-{index}", files)
        messages = messages and _output(list(command.argv), dict(command.environment), command.folder, messages)
    return messages


def _output(argv: list[str], environment: dict[str, str], folder: Path | None, given: bytes) -> bytes:
    ended = subprocess.run(  # noqa: S603 - what the user asks for is run
        argv, input=given, capture_output=True, env=environment, cwd=folder, timeout=_SECONDS
    )
    return ended.stdout if ended.returncode == 0 else b""
