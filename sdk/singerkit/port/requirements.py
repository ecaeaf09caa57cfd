"""One requirement on singer-sdk, as the requirement on singerkit that it becomes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from singerkit import __version__
from singerkit.compat.packages import EXTRAS, NEW

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_OLD = re.compile(
    r"\s*singer[-_.]sdk\s*(?:\[(?P<extras>[^\]]*)\])?(?P<version>[^;@]*)(?:@[^;]*)?(?P<marker>;.*)?", re.IGNORECASE
)
AT_LEAST = f">={__version__}"


def name_of(requirement: str) -> str:
    """Give the normalized name of the distribution that a requirement asks for; empty if there is none."""
    match = _NAME.match(requirement)
    return "" if match is None else normalized(match[1])


def normalized(name: str) -> str:
    """Give a distribution's name as registries compare it. Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_old_requirement(requirement: str) -> bool:
    """Tell whether a requirement asks for singer-sdk."""
    return name_of(requirement) == "singer-sdk" and _OLD.fullmatch(requirement) is not None


def new_requirement(requirement: str, extras: Iterable[str] = ()) -> str:
    """Give the requirement on singerkit: the extras that are needed, and the marker as it was."""
    match = _OLD.fullmatch(requirement)
    given = re.split(r"[\s,]+", (match["extras"] or "").strip()) if match else []
    marker = (match["marker"] or "").strip() if match else ""
    asked = new_extras(given) | set(extras)
    listed = f"[{','.join(sorted(asked))}]" if asked else ""
    return f"{NEW}{listed}{AT_LEAST}{marker and ' ' + marker}"


def new_extras(given: Iterable[str]) -> set[str]:
    """Give the extras of singerkit for those of singer-sdk."""
    return {EXTRAS[extra] for extra in given if extra in EXTRAS}
