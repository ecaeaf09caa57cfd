"""Marks on the columns of Arrow and Parquet files, for what these formats can't say of a record.

A column of texts may hold JSON, and a null may stand for a member that is absent. A tap marks both in the fields of the
files that it writes, at any depth; a target that reads them gives back what was there. Other programs need not care.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

_JSON, _ABSENT = {b"singer:text": b"json"}, {b"singer:null": b"absent"}

#: From a value as Arrow gives it to what it was.
Restore: TypeAlias = Callable[[Any], Any]


def marks(*, is_json: bool, takes_null: bool) -> dict[bytes, bytes] | None:
    """Give the metadata of a field: whether its texts are JSON, and whether null is a value of it."""
    return {**(_JSON if is_json else {}), **({} if takes_null else _ABSENT)} or None


def restoring(schema: Any) -> Restore | None:
    """Give what makes records of the rows, dicts, of an Arrow schema; None where they are records as they are."""
    return _restoring_members(list(schema))


def _restoring_members(fields: list[Any]) -> Restore | None:
    absent = {field.name for field in fields if _has(field, _ABSENT)}
    parts = {field.name: restore for field in fields if (restore := _restoring(field)) is not None}
    if not absent and not parts:
        return None

    def restore_members(row: Any) -> Any:
        return {
            name: parts[name](value) if value is not None and name in parts else value
            for name, value in row.items()
            if value is not None or name not in absent
        }

    return restore_members


def _restoring(field: Any) -> Restore | None:
    from pyarrow import types

    if _has(field, _JSON):
        return lambda text: msgspec.Raw(text.encode())
    if types.is_struct(field.type):
        return _restoring_members([field.type.field(number) for number in range(field.type.num_fields)])
    if types.is_list(field.type):
        restore = _restoring(field.type.value_field)
        return None if restore is None else lambda items: [None if item is None else restore(item) for item in items]
    return None


def _has(field: Any, mark: dict[bytes, bytes]) -> bool:
    return mark.items() <= (field.metadata or {}).items()
