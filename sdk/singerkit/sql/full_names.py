"""A table's name with those of its schema and database, as it stands in a statement."""

from __future__ import annotations

import re
from collections import UserString
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


class FullyQualifiedName(UserString):
    """Database, schema and table with points between them; its text can go into a statement.

    Each part is quoted as the dialect asks for, so a part from the input can't become SQL. Without a dialect the parts
    stay as they are: a name to show.
    """

    def __init__(
        self,
        *,
        table: str = "",
        schema: str | None = None,
        database: str | None = None,
        delimiter: str = ".",
        dialect: Dialect | None = None,
    ) -> None:
        self.table = table
        self.schema = schema
        self.database = database
        self.delimiter = delimiter
        self.dialect = dialect
        parts = [part for part in (database, schema, table) if part]
        if not parts:
            raise ValueError("a fully qualified name needs a table, a schema or a database")
        super().__init__(delimiter.join(map(self.prepare_part, parts)))

    def prepare_part(self, part: str) -> str:
        """Give a part as it stands in the name; override it for quoting of your own."""
        return part if self.dialect is None else quoted_part(self.dialect, part)


def quoted_part(dialect: Dialect, name: str) -> str:
    """Give a name quoted as a database asks for, with single percent signs: who binds values doubles them."""
    quoted = dialect.identifier_preparer.quote(name)
    return quoted.replace("%%", "%") if quoted.count("%") > name.count("%") else quoted


def name_parts(full_table_name: str | FullyQualifiedName) -> tuple[str | None, str | None, str]:
    """Give database, schema and table, unquoted; ``None`` for those that the name does not say."""
    if isinstance(full_table_name, FullyQualifiedName):
        return full_table_name.database, full_table_name.schema, full_table_name.table
    found = [quoted.replace('""', '"') or plain for quoted, plain in _PART.findall(full_table_name)]
    *before, table = found[-3:]
    database, schema = [None, None, *before][-2:]
    return database, schema, table
