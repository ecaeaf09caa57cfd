"""Which modules of others a file imports, by their first names."""

from __future__ import annotations

import ast


def modules_in(code: bytes) -> set[str]:
    """Give the first names of all absolute imports, wherever in the file they stand.

    Errors: ``SyntaxError`` for what is not Python.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found
