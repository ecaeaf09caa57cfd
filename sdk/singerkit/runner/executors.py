"""Executors by name: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from singerkit.errors import ConfigurationError, MissingExtraError

_FORMS = "local:N (N at once on this machine) or dask://HOST:PORT (a Dask scheduler)"


@contextmanager
def open_executor(name: str, resources: Mapping[str, float]) -> Iterator[tuple[Executor, int]]:
    """Open an executor; gives it and how many units it can run at once.

    ``resources`` are what each unit takes of the cluster's (Dask: `dask worker --resources "api=4"`), so that all
    pipelines that name one share it.

    Errors: ``ConfigurationError`` for a name that is none, or a cluster that can't be reached; ``MissingExtraError``.
    """
    kind, _, rest = name.partition(":")
    if kind == "local":
        count = _count(rest)
        executor = ThreadPoolExecutor(count)
        try:
            yield executor, count
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    elif kind in ("dask", "tcp", "tls"):
        with _dask(name, resources) as opened:
            yield opened
    else:
        raise ConfigurationError(f"--executor: '{name}' is none: use {_FORMS}")


def _count(text: str) -> int:
    if text == "":
        return os.cpu_count() or 1
    if not text.isdecimal() or not int(text):
        raise ConfigurationError(f"--executor: 'local:{text}' has no number of 1 or more")
    return int(text)


@contextmanager
def _dask(name: str, resources: Mapping[str, float]) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("a Dask cluster needs Dask: pip install 'singerkit[dask]'") from None
    address = name.replace("dask://", "tcp://", 1)
    try:
        client: Any = Client(address, timeout="20s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--executor: the Dask scheduler at '{address}' can't be reached: {error}") from None
    try:
        threads = sum(client.nthreads().values())
        # A lost worker is noticed here and said, instead of being tried again silently.
        executor = client.get_executor(resources=dict(resources) or None, retries=0, allow_other_workers=False)
        yield executor, max(threads, 1)
        executor.shutdown(wait=False)
    finally:
        client.close()
