"""The catalog that a tap is given: the user's own file, or what the tap discovers with the project's rules applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from singerkit.errors import CatalogError, DiscoveryError
from singerkit.runner.asking import NoAnswer, ask
from singerkit.runner.job import Job
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.supervise.children import Command
from singerkit.telemetry.redact import Redactor


def catalog_for(
    job: Job, tap: Command, files: PrivateFolder, redactor: Redactor, tick: Callable[[], None] = lambda: None
) -> Path | None:
    """Give the file of the catalog, or ``None`` where the tap is to use its own; ``tick`` as for :func:`ask`.

    Errors: ``CatalogError`` when the file can't be used, ``DiscoveryError`` when the tap can't discover.
    """
    if job.catalog_rules is None:
        return job.catalog
    return files.write("catalog.json", _with_rules(job, tap, redactor, tick))


def catalog_of(job: Job, folder: Path) -> dict[str, Any]:
    """Give the catalog that the tap of a job reads by; ``folder`` is for private files.

    Errors: as :func:`catalog_for`.
    """
    with PrivateFolder(folder) as files:
        tap = command_of(job, job.tap, job.tap.name, files)
        return _with_rules(job, tap, Redactor(job.tap.secrets))


def _with_rules(job: Job, tap: Command, redactor: Redactor, tick: Callable[[], None] = lambda: None) -> dict[str, Any]:
    catalog = _read(job.catalog) if job.catalog else discover(tap, redactor, tick)
    return job.catalog_rules(catalog) if job.catalog_rules else catalog


def _read(path: Path) -> dict[str, Any]:
    try:
        catalog = json.loads(path.read_bytes())
    except OSError as error:
        raise CatalogError(f"the catalog '{path}' can't be read: {error.strerror}") from None
    except ValueError as error:
        raise CatalogError(f"the catalog '{path}' is not JSON: {error}") from None
    return _checked(catalog, f"'{path}'", CatalogError)


def discover(tap: Command, redactor: Redactor, tick: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Ask a tap for its catalog; ``tick`` as for :func:`ask`.

    Errors: ``ConfigurationError`` when there is no such command; ``DiscoveryError`` with the last lines of its log.
    """
    try:
        answer = ask(tap, ["--discover"], tick=tick)
    except NoAnswer as error:
        raise DiscoveryError(f"{error}: it was asked to discover its streams") from None
    if answer.code:
        raise DiscoveryError(f"{tap.name} could not discover its streams {answer.failure(redactor)}")
    try:
        catalog = json.loads(answer.output)
    except ValueError as error:
        raise DiscoveryError(f"what {tap.name} discovered is not JSON: {error}") from None
    return _checked(catalog, f"what {tap.name} discovered", DiscoveryError)


def _checked(catalog: Any, what: str, kind: type[CatalogError | DiscoveryError]) -> dict[str, Any]:
    if not isinstance(catalog, dict) or not isinstance(catalog.get("streams"), list):
        raise kind(f"{what} is no catalog: it has no list of 'streams'")
    return catalog
