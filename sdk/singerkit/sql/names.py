"""From the names of streams and properties to those of tables and columns: never SQL, never two in one by mistake.

A name goes into a statement only as a quoted identifier. Databases take no note of case, so ``People`` and ``people``
can't both be tables: the one that is there keeps its name, and the other gets a digest of its own name at its end. So
does a name that no identifier can be.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError

_SHOWN_CHARACTERS = 40
_MARKED = re.compile(r".*_[0-9a-f]{12}", re.DOTALL)
#: What SQLite keeps to itself.
_RESERVED = "sqlite_"


@dataclass(frozen=True)
class NameLimits:
    """What a database takes as an identifier.

    Units: ``longest`` bytes of UTF-8. ``plane_zero``: only characters of the Basic Multilingual Plane, and no space at
    the end.
    """

    longest: int = 255
    plane_zero: bool = False

    def allows(self, name: str) -> bool:
        """Tell whether an identifier may be called so."""
        if self.plane_zero and (name != name.rstrip() or any(character > "\uffff" for character in name)):
            return False
        return bool(name) and name.isprintable() and len(name.encode()) <= self.longest

    def shown(self, name: str) -> str:
        """Give a readable beginning of a name, with what can't be in an identifier as ``_``, short enough to add to."""
        most = "\uffff" if self.plane_zero else "\U0010ffff"
        kept = "".join(character if character.isprintable() and character <= most else "_" for character in name)
        return kept.encode()[: min(_SHOWN_CHARACTERS, self.longest - 14)].decode(errors="ignore")


ANY_NAME = NameLimits()


def quoted(identifier: str) -> str:
    """Give an identifier as it stands in a statement."""
    return '"' + identifier.replace('"', '""') + '"'


def listed(identifiers: Iterable[str]) -> str:
    """Give identifiers as they stand in a list of columns."""
    return ", ".join(map(quoted, identifiers))


def table_name(stream: str, existing: Collection[str], limits: NameLimits = ANY_NAME) -> str:
    """Give the name of a stream's table, beside those that exist: an existing one only if it is called exactly so."""
    name = stream if _is_identifier(stream, limits) else marked(stream, limits)
    if name not in existing and name.casefold() in {other.casefold() for other in existing}:
        return marked(stream, limits)
    return name


def column_names(properties: Sequence[str], existing: Collection[str], limits: NameLimits = ANY_NAME) -> dict[str, str]:
    """Give the column of each property, no two alike, and none changed by what else there is.

    An existing column is a property's if it is called exactly so, or but for case while no other property is.
    """
    by_folded = {column.casefold(): column for column in existing}
    exact = {name: name for name in properties if name in existing}
    columns: dict[str, str] = {}
    taken = {column.casefold() for column in exact.values()}
    for name in properties:
        column = exact.get(name) or (name if _is_identifier(name, limits) else marked(name, limits))
        if name not in exact:
            if marked(name, limits) in existing or column.casefold() in taken:
                column = marked(name, limits)
            column = by_folded.get(column.casefold(), column)
            if column.casefold() in taken:
                raise ConfigurationError(f"the property '{name}' has the name of another one's column")
            taken.add(column.casefold())
        columns[name] = column
    return columns


def marked(name: str, limits: NameLimits = ANY_NAME) -> str:
    """Give a name with its digest, such that it can be an identifier."""
    shown = limits.shown(name)
    return f"{'_' if _is_reserved(shown) else ''}{shown}_{digest_of(name)}"


def _is_identifier(name: str, limits: NameLimits) -> bool:
    """Tell whether a name can stay as it is; not if it looks like one with a digest, which could be another's."""
    return limits.allows(name) and not _is_reserved(name) and not _MARKED.fullmatch(name)


def _is_reserved(name: str) -> bool:
    return name.lower().startswith(_RESERVED)
