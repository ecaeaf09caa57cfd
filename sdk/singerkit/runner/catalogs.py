"""The catalog that a tap is given: the user's own file, or what the tap discovers with the project's rules applied."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from singerkit.errors import CatalogError, DiscoveryError
from singerkit.runner.job import Job
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.supervise.children import Command, describe_code
from singerkit.runner.supervise.log_lines import KEPT_LINES
from singerkit.telemetry.redact import Redactor, escape_controls

_DISCOVERY_S = 900


def catalog_for(job: Job, tap: Command, files: PrivateFolder, redactor: Redactor) -> Path | None:
    """Give the file of the catalog, or ``None`` where the tap is to use its own.

    Errors: ``CatalogError`` when the file can't be used, ``DiscoveryError`` when the tap can't discover.
    """
    if job.catalog_rules is None:
        return job.catalog
    return files.write("catalog.json", _with_rules(job, tap, redactor))


def catalog_of(job: Job, folder: Path) -> dict[str, Any]:
    """Give the catalog that the tap of a job reads by; ``folder`` is for private files.

    Errors: as :func:`catalog_for`.
    """
    with PrivateFolder(folder) as files:
        tap = command_of(job, job.tap, job.tap.name, files)
        return _with_rules(job, tap, Redactor(job.tap.secrets))


def _with_rules(job: Job, tap: Command, redactor: Redactor) -> dict[str, Any]:
    catalog = _read(job.catalog) if job.catalog else discover(tap, redactor)
    return job.catalog_rules(catalog) if job.catalog_rules else catalog


def _read(path: Path) -> dict[str, Any]:
    try:
        catalog = json.loads(path.read_bytes())
    except OSError as error:
        raise CatalogError(f"the catalog '{path}' can't be read: {error.strerror}") from None
    except ValueError as error:
        raise CatalogError(f"the catalog '{path}' is not JSON: {error}") from None
    return _checked(catalog, f"'{path}'", CatalogError)


def discover(tap: Command, redactor: Redactor) -> dict[str, Any]:
    """Ask a tap for its catalog.

    Errors: ``ConfigurationError`` when there is no such command; ``DiscoveryError`` with the last lines of its log.
    """
    tap.check()
    try:
        ended = subprocess.run(  # noqa: S603 - what the user asks for is run
            [*tap.argv, "--discover"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(tap.environment),
            cwd=tap.folder,
            timeout=_DISCOVERY_S,
        )
    except subprocess.TimeoutExpired:
        raise DiscoveryError(f"{tap.name} did not end its discovery within {_DISCOVERY_S} s") from None
    if ended.returncode:
        lines = redactor.redact(ended.stderr.decode("utf-8", "replace")).splitlines()[-KEPT_LINES:]
        log = "".join(f"\n  {escape_controls(line)}" for line in lines)
        raise DiscoveryError(f"{tap.name} could not discover its streams ({describe_code(ended.returncode)}){log}")
    try:
        catalog = json.loads(ended.stdout)
    except ValueError as error:
        raise DiscoveryError(f"what {tap.name} discovered is not JSON: {error}") from None
    return _checked(catalog, f"what {tap.name} discovered", DiscoveryError)


def _checked(catalog: Any, what: str, kind: type[CatalogError | DiscoveryError]) -> dict[str, Any]:
    if not isinstance(catalog, dict) or not isinstance(catalog.get("streams"), list):
        raise kind(f"{what} is no catalog: it has no list of 'streams'")
    return catalog
