"""What a sink's ``get_validator`` gives: whether its records are checked, and the check of one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from singerkit.errors import DataError
from singerkit.types import Record, Schema

if TYPE_CHECKING:
    from collections.abc import Callable


class RecordValidator:
    """Checks records against a schema. The engine checks many at once; this checks one, for who asks."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def validate(self, record: Record) -> None:
        """Check a record.

        Errors: ``DataError`` says every violation.
        """
        if violations := self._judge(record):
            raise DataError("; ".join(violations))

    @cached_property
    def _judge(self) -> Callable[[Record], list[str]]:
        from singerkit.records.judge import compile_judge

        return compile_judge(self.schema)
