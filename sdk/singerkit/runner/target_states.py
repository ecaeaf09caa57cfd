"""The state that a target keeps where it keeps the records, in one transaction with them: what a run begins from.

The target says it (``--print-state``), and is told in the run what the tap was started with (``--started-from``), so
that it refuses what does not go on from there. The store of the runner only mirrors it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from singerkit.errors import ConfigurationError, SyncError
from singerkit.protocol.codec import decode_exact
from singerkit.runner.asking import ask
from singerkit.runner.job import Job
from singerkit.runner.store.base import State, StateStore, StoredState
from singerkit.runner.supervise.children import Command
from singerkit.telemetry.redact import Redactor

_SETTING = "state_key"
#: The fact of a run by which its states are known as mirrored ones.
MIRRORS = {"state_in": "target"}
_EXIT_CONFIG = 2


@dataclass(frozen=True)
class Kept:
    """A state that a target keeps; ``text`` is its JSON, as the target said it."""

    text: bytes
    state: State


def telling_its_target(job: Job) -> Job:
    """Give the job with the name of its state among the target's settings.

    Errors: ``ConfigurationError`` where the target's settings are not ours to say, or say another name.
    """
    where = f"pipelines.{job.name}.state_in is 'target'"
    if job.target.config is None:
        raise ConfigurationError(f"{where}, so the settings of {job.target.name} have to be in singer.toml (`config`)")
    said = job.target.config.get(_SETTING, job.state_key)
    if said != job.state_key:
        raise ConfigurationError(
            f"{where}, and the settings of {job.target.name} say {_SETTING} = '{said}': leave it out, since it is the "
            f"pipeline's ('{job.state_key}')"
        )
    return replace(job, target=replace(job.target, config={**job.target.config, _SETTING: job.state_key}))


def kept_by(target: Command, redactor: Redactor, tick: Callable[[], None]) -> Kept:
    """Ask a target for the state that it keeps; ``{}`` before the first.

    Errors: ``ConfigurationError`` when it keeps none; ``SyncError`` when it can't say it at the moment.
    """
    answer = ask(target, ["--print-state"], tick=tick)
    if answer.code:
        kind = ConfigurationError if answer.code == _EXIT_CONFIG else SyncError
        raise kind(f"{target.name} could not say the state it keeps {answer.failure(redactor)}")
    try:
        state = decode_exact(answer.output)
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise ConfigurationError(
            f"{target.name} could not say the state it keeps: what it wrote for --print-state is no JSON object. "
            "Does it keep states (state_in)?"
        )
    return Kept(answer.output, state)


def state_of_before(store: StateStore, key: str, stored: StoredState | None) -> State | None:
    """Give the state to begin with where the target keeps none yet: what was stored before it was to keep any.

    Errors: ``ConfigurationError`` where the stored one is but a mirror, so that the target has lost what it kept.
    """
    if stored is None or not stored.state:
        return None
    was_put_by_hand = stored.run.isalpha()  # a word; the id of a run has digits
    writer = None if was_put_by_hand else store.run(stored.run)
    if was_put_by_hand or (writer is not None and writer.facts.get("state_in") != MIRRORS["state_in"]):
        return stored.state
    if writer is None:
        what = (
            f"the target keeps no state of '{key}', and whether it did is not known any more: the run that stored "
            f"revision {stored.revision} ({stored.run}) is forgotten."
        )
    else:
        what = (
            f"the target keeps no state of '{key}' any more, but did in run {stored.run}: was its database, or the row "
            "of the state, replaced or removed?"
        )
    raise ConfigurationError(
        f"{what} To read everything anew: `singerkit state clear {key}`. To go on from where "
        f"it had come to, if the records are there: `singerkit state restore {key} {stored.revision}`"
    )
