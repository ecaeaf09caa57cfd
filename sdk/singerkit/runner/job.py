"""What is to be run, as values: programs, and the job that joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Changes a discovered catalog (its JSON, as discovered) into the one the tap is given: selection, overrides.
CatalogRules = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A tap, mapper or target as a command.

    Shape: ``argv`` is the command with the options its user gave; ``config``, where there is one, is written to a
    private file that is added as ``--config FILE``; ``environment`` is added to what every program gets; ``secrets``
    are the texts that no output may show; ``writes_back`` says that the program may change its config file (rotated
    tokens), which is then kept; ``catalog_option`` is how it is given a catalog (old taps: ``--properties``).
    """

    name: str
    argv: tuple[str, ...]
    config: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    folder: Path | None = None
    writes_back: bool = False
    catalog_option: str = "--catalog"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a run may take and how often it is tried again.

    Units: seconds. ``timeout_s``: of one attempt; ``idle_timeout_s``: in which nothing moves, neither data nor logs nor
    states; ``grace_s``: from a signal to the runner until every program is ended by force; ``drain_s``: the same after
    a timeout, when nobody is waiting and the target may have much to store.
    """

    timeout_s: float | None = None
    idle_timeout_s: float | None = None
    grace_s: float = 30.0
    drain_s: float = 600.0
    retries: int = 0
    retry_wait_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How much of a pipeline's past is kept: its newest runs, and the newest revisions of its state (0: all).

    A little more may be there, as it is looked after now and then only; the last success always stays.
    """

    runs: int = 1_000
    revisions: int = 500


@dataclass(frozen=True, kw_only=True)
class Job:
    """A tap, mappers and a target, and how they are to be run.

    Shape: ``state_key`` names the state in the store, and ``initial_state`` is where to begin as long as it holds none;
    ``full_refresh`` are streams whose bookmarks the tap is not given ("*": all); ``after`` are shell commands that
    follow a success, run in ``folder``; ``withheld`` are variables of the environment that no program gets (configs
    were filled from them); ``max_units`` is how many units may run at once, because of what a source or a target
    allows, and ``resources`` what each takes of a cluster's; ``labels`` are facts for logs and metrics;
    ``state_in_target`` says that the target keeps the state, and the store mirrors it;
    ``stale_after_s`` is the age of the last success beyond which the pipeline counts as stale (seconds).
    """

    name: str
    state_key: str
    tap: Program
    target: Program
    mappers: tuple[Program, ...] = ()
    catalog: Path | None = None
    catalog_rules: CatalogRules | None = None
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)
    initial_state: Mapping[str, Any] | None = None
    full_refresh: frozenset[str] = frozenset()
    after: tuple[str, ...] = ()
    folder: Path | None = None
    withheld: frozenset[str] = frozenset()
    max_units: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    schedule: str | None = None
    stale_after_s: float | None = None
    state_in_target: bool = False

    @property
    def secrets(self) -> frozenset[str]:
        """Give the texts that no output may show, of all programs."""
        return frozenset().union(*(program.secrets for program in (self.tap, *self.mappers, self.target)))
