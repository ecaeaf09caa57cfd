"""Exports: a request starts a job, the job is asked about until it has finished, its files are downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from singerkit.clock import monotonic, sleep
from singerkit.errors import ConfigurationError, FatalAPIError, RetryBudgetError
from singerkit.http.extract import compile_extract, compile_first
from singerkit.http.pauses import pause_asked_s

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """How an API exports; declared on a stream as ``export = ExportJob(...)``.

    The stream's own request (``path``, ``http_method``, ``prepare_request_payload``, ...) starts the job. Then:

    - ``status_path`` (``"/exports/{id}"``; names in it are members of the starting answer) or ``status_jsonpath`` says
      where to ask about the job; with neither it is the ``Location`` of the starting answer.
    - ``state_jsonpath`` finds the job's state there; ``done`` and ``failed`` are the states that end it.
    - ``files_jsonpath`` finds the URLs of the files in the last answer; or ``files_path`` is where the file is.
    - ``file_origins``: where files may be besides the stream's origins, e.g. ``("https://files.example.com",)``. They
      are asked without credentials: such URLs hold their own.

    Units: ``poll_s`` seconds between two questions, unless the API asks for a pause; ``total_s`` seconds for the job.
    """

    status_path: str | None = None
    status_jsonpath: str | None = None
    state_jsonpath: str = "$.status"
    done: Sequence[str] = ("done", "completed", "complete", "finished", "succeeded", "success", "ready")
    failed: Sequence[str] = ("failed", "failure", "error", "cancelled", "canceled", "aborted", "expired")
    files_jsonpath: str | None = None
    files_path: str | None = None
    file_origins: Sequence[str] = ()
    poll_s: float = 5.0
    total_s: float = 3600.0
    pause: Callable[[float], None] = field(default=sleep, repr=False)

    def __post_init__(self) -> None:
        """Refuse what says too little or too much."""
        if (self.files_jsonpath is None) == (self.files_path is None):
            raise ConfigurationError("ExportJob needs one of files_jsonpath and files_path: where are the files?")
        if self.status_path is not None and self.status_jsonpath is not None:
            raise ConfigurationError("ExportJob takes one of status_path and status_jsonpath")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSteps:
    """How the steps are done.

    Shape: ``start()`` gives the starting answer; ``ask(url)`` one about the job; ``download(url)`` a file. ``expand(
    path, members)`` gives a whole URL. All are tried as often as makes sense.
    """

    start: Callable[[], requests.Response]
    ask: Callable[[str], requests.Response]
    download: Callable[[str], requests.Response]
    expand: Callable[[str, dict[str, Any]], str]


def export_files(job: ExportJob, steps: ExportSteps) -> Iterator[requests.Response]:
    """Run a job; gives its files, each downloaded when it is asked for.

    Errors: ``FatalAPIError`` when the job failed or the answers don't say what they should; ``RetryBudgetError`` when
    it takes too long.
    """
    begun = monotonic()
    started = steps.start()
    members = _members(started)
    url = _status_url(job, started, members, steps)
    state_of = compile_first(job.state_jsonpath)
    answer = started
    while True:
        pause_s = pause_asked_s(answer) or job.poll_s
        if monotonic() - begun + pause_s > job.total_s:
            raise RetryBudgetError(f"the export has not finished after {job.total_s:.0f} s (ExportJob.total_s)")
        job.pause(pause_s)
        answer = steps.ask(url)
        state = state_of(answer.json()) if answer.content else None
        if state is None:
            raise FatalAPIError(f"the answer about the export has nothing at {job.state_jsonpath}")
        if state in job.failed:
            raise FatalAPIError(f"the export ended as '{state}'")
        if state in job.done:
            break
    for file_url in _file_urls(job, answer, {**members, **_members(answer)}, steps):
        yield steps.download(urljoin(url, file_url))


def _members(answer: requests.Response) -> dict[str, Any]:
    body = answer.json() if answer.content else None
    return body if isinstance(body, dict) else {}


def _status_url(job: ExportJob, started: requests.Response, members: dict[str, Any], steps: ExportSteps) -> str:
    if job.status_path is not None:
        return steps.expand(job.status_path, members)
    if job.status_jsonpath is not None:
        where, pointer = job.status_jsonpath, compile_first(job.status_jsonpath)(members)
    else:
        where, pointer = "its Location header", started.headers.get("Location")
    if not isinstance(pointer, str) or not pointer:
        raise FatalAPIError(f"the answer that starts the export does not say where to ask about it ({where})")
    return urljoin(started.url or "", pointer)


def _file_urls(job: ExportJob, answer: requests.Response, members: dict[str, Any], steps: ExportSteps) -> list[str]:
    if job.files_path is not None:
        return [steps.expand(job.files_path, members)]
    found = compile_extract(job.files_jsonpath or "")(answer.json())
    if found is None or not all(isinstance(url, str) for url in found):
        raise FatalAPIError(f"the answer about the finished export has no URLs at {job.files_jsonpath}")
    return found
