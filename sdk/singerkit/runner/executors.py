"""Executors by name: threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from singerkit.clock import monotonic
from singerkit.errors import ConfigurationError, MissingExtraError, SyncError

T = TypeVar("T")

_FORMS = "local:N (N at once on this machine) or dask://HOST:PORT (a Dask scheduler)"
#: How often a cluster is asked how large it is, and told again what all its workers are to know (seconds).
_ASK_EVERY_S = 5.0
_TELL_EVERY_S = 1.0


@dataclass(frozen=True)
class Workers:
    """Who runs units.

    Shape: ``slots`` gives how many can run at once, as things stand (0: none can); ``backlog`` how many more are to be
    handed over; ``tell`` calls a function in every process that may run one, soon, and says nothing of how that went;
    ``is_lost`` tells an error that means that a worker is gone from those of the work itself.
    """

    executor: Executor
    slots: Callable[[], int]
    tell: Callable[[Callable[[], object]], object]
    is_lost: Callable[[BaseException], bool]
    backlog: Callable[[int], int] = lambda slots: 0

    @property
    def capacity(self) -> int:
        """How many units are to be handed over, as things stand."""
        slots = self.slots()
        return slots + self.backlog(slots)

    def submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Hand work over.

        Errors: ``SyncError`` when there is nobody left to take it.
        """
        try:
            return self.executor.submit(work, *arguments)
        except Exception as error:
            if not self.is_lost(error):
                raise
            raise _gone(type(error).__name__) from None


def _gone(why: str) -> SyncError:
    return SyncError(f"the cluster is gone ({why}); run again when it is back: units go on from where they came to")


@contextmanager
def open_workers(name: str, resources: Mapping[str, float]) -> Iterator[Workers]:
    """Open an executor by its name.

    ``resources`` are what each unit takes of the cluster's (Dask: `dask worker --resources "api=4"`), so that all
    pipelines that name one share it.

    Errors: ``ConfigurationError`` for a name that is none, or a cluster that can't be reached; ``MissingExtraError``.
    """
    kind, _, rest = name.partition(":")
    if kind == "local":
        count = _count(rest)
        executor = ThreadPoolExecutor(count)
        try:
            yield Workers(executor, lambda: count, lambda function: function(), lambda error: False)
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
def _dask(name: str, resources: Mapping[str, float]) -> Iterator[Workers]:
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
        # Not pure: a unit that is handed over again is run again, whatever is known of the first time.
        executor = client.get_executor(resources=dict(resources) or None, retries=0, pure=False)
        cluster = _Cluster(client, resources)
        # A worker with nothing to do is worse than a unit that waits; and one that scales sees what is wanted.
        yield Workers(executor, cluster.slots, cluster.tell, cluster.is_lost, backlog=lambda slots: max(2, slots))
        executor.shutdown(wait=False)
    finally:
        client.close()


class _Cluster:
    """A Dask cluster, which grows and shrinks."""

    def __init__(self, client: Any, resources: Mapping[str, float]) -> None:
        self._client = client
        self._resources = {name: need for name, need in resources.items() if need > 0}
        self._asked = self._told = float("-inf")
        self._slots = 0

    def slots(self) -> int:
        """Give how many units the workers can run at once; asks the scheduler now and then.

        Errors: ``SyncError`` when it is gone for good.
        """
        if self._client.status == "closed":
            raise _gone("its scheduler does not answer any more")
        if monotonic() - self._asked > _ASK_EVERY_S:
            with suppress(Exception):  # while it is away, Dask fails in several ways
                self._slots = sum(map(self._slots_of, self._client.run_on_scheduler(_workers)))
            self._asked = monotonic()
        return self._slots

    def _slots_of(self, worker: tuple[int, Mapping[str, float]]) -> int:
        threads, has = worker
        return min([threads, *(int(has.get(name, 0) // need) for name, need in self._resources.items())])

    def tell(self, function: Callable[[], object]) -> None:
        """Call a function on every worker; does not wait for one that does not answer."""
        if monotonic() - self._told > _TELL_EVERY_S:
            self._told = monotonic()
            Thread(target=partial(self._tell, function), daemon=True).start()

    def _tell(self, function: Callable[[], object]) -> None:
        with suppress(Exception):  # a worker that is gone has nothing to be told
            self._client.run(function, on_error="ignore")

    @staticmethod
    def is_lost(error: BaseException) -> bool:
        """Tell whether an error is Dask's own: it says so of a lost worker in several ways."""
        return isinstance(error, CancelledError) or type(error).__module__.partition(".")[0] == "distributed"


def _workers(dask_scheduler: Any) -> list[tuple[int, dict[str, float]]]:
    """Give threads and resources of each worker; called by the scheduler."""
    return [(worker.nthreads, dict(worker.resources)) for worker in dask_scheduler.workers.values()]
