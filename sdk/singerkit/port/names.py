"""What becomes of a full name: ``singer_sdk.helpers.types.Context`` is ``Context`` of ``singerkit.types`` now."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import singerkit
from singerkit.compat.names import MODULES, NAMES, OLD, PACKAGES, REFUSED, RENAMED_MODULES

_FALLBACK_REASON = "singerkit has no counterpart of it"


class Home(NamedTuple):
    """Where something lives: a name of a module, or the module itself where ``name`` is empty."""

    module: str
    name: str = ""

    @property
    def full(self) -> str:
        """The full name."""
        return f"{self.module}.{self.name}" if self.name else self.module


class Refusal(NamedTuple):
    """There is no such thing; why, and what to do instead."""

    reason: str


def is_old(full_name: str) -> bool:
    """Tell whether a full name is of ``singer_sdk``."""
    return full_name == OLD or full_name.startswith(f"{OLD}.")


def home_of_module(old: str) -> str | None:
    """Give the module that has a module's names; ``None`` if they are scattered, or there is no such module."""
    old = RENAMED_MODULES.get(old, old)
    if old in MODULES:
        return MODULES[old]
    for package, new in PACKAGES.items():
        if old == package or old.startswith(f"{package}."):
            module = new + old.removeprefix(package)
            return module if _exists(module) else None
    return None


def is_module(old: str) -> bool:
    """Tell whether a full name is that of a module of ``singer_sdk``, as far as it is known here."""
    old = RENAMED_MODULES.get(old, old)
    parents = {known.rpartition(".")[0] for known in (*MODULES, *NAMES, *REFUSED)}
    return home_of_module(old) is not None or old in parents


@cache
def resolve(old: str) -> Home | Refusal:
    """Give where a full name lives now, or why it does not."""
    module, _, name = old.rpartition(".")
    module = RENAMED_MODULES.get(module, module)
    old = f"{module}.{name}" if module else name
    if old in NAMES:
        return Home(*NAMES[old].rsplit(".", 1))
    reason = REFUSED.get(old) or REFUSED.get(module)
    if reason is not None:
        return Refusal(reason)
    if is_module(old):
        moved = home_of_module(old)
        return Refusal(_FALLBACK_REASON) if moved is None else Home(moved)
    if name in singerkit.__all__ and not name.startswith("_"):
        return Home("singerkit", name)
    moved = home_of_module(module)
    if moved is not None and _has(moved, name):
        return Home(moved, name)
    return Refusal(_FALLBACK_REASON)


class ModulePlan(NamedTuple):
    """How a module that is used by its members moves.

    ``module``: the one that has all those members; empty: they are imported one by one, from ``members``, or not at
    all, where there is a ``refusal``.
    """

    module: str
    members: dict[str, Home]
    refusal: Refusal | None = None


def plan_module(old: str, used: Iterable[str]) -> ModulePlan:
    """Plan how a module moves of which these members are used."""
    answers = {name: resolve(f"{old}.{name}") for name in sorted(used)}
    refusal = next((answer for answer in answers.values() if isinstance(answer, Refusal)), None)
    homes = {name: answer for name, answer in answers.items() if isinstance(answer, Home)}
    if refusal is not None:
        return ModulePlan("", homes, refusal)
    module = home_of_module(old)
    if module is not None and all(f"{old}.{name}" not in NAMES and _has(module, name) for name in homes):
        return ModulePlan(module, homes)
    return ModulePlan("", homes, None if homes else Refusal(_FALLBACK_REASON))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def _has(module: str, name: str) -> bool:
    """Tell whether a module has a name; one whose own dependencies are not installed is taken at its word."""
    try:
        return hasattr(import_module(module), name) or _exists(f"{module}.{name}")
    except ImportError:
        return True
