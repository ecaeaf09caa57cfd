"""Pages of records, and records that were decoded straight into the struct they are encoded from.

Such rows exist where nobody looks at a record: no hook, no map, no child. Who looks at them all the same gets dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from singerkit.types import Record


class Rows(Sequence[Record]):
    """A page's records as structs, in order."""

    __slots__ = ("structs",)

    def __init__(self, structs: list[Any]) -> None:
        self.structs = structs

    def __len__(self) -> int:
        return len(self.structs)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.structs[index]
        return [msgspec.to_builtins(row) for row in chosen] if isinstance(chosen, list) else msgspec.to_builtins(chosen)

    def __iter__(self) -> Iterator[Record]:
        return map(msgspec.to_builtins, self.structs)

    def column(self, name: str) -> list[Any]:
        """Give one property of all records.

        Errors: ``KeyError`` when a record does not have it.
        """
        if not self.structs:
            return []
        values = list(map(attrgetter(_field_of(type(self.structs[0]), name)), self.structs))
        if msgspec.UNSET in values:
            raise KeyError(name)
        return values


def column_of(records: Sequence[Record], name: str) -> list[Any]:
    """Give one property of all records.

    Errors: ``KeyError`` when a record does not have it.
    """
    if isinstance(records, Rows):
        return records.column(name)
    return [record[name] for record in records]


def _field_of(struct: Any, name: str) -> str:
    fields: Mapping[str, str] = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
    return fields[name]
