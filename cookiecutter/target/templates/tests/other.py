"""The tests of the target: each rule of the Singer specification, with a store of its own for each case."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from singerkit_testing import SuiteConfig, get_target_test_class

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}


def stored(stream: str, workdir: Path) -> list[dict[str, Any]]:
    """Read back what was stored of a stream."""
    file = workdir / "documents.sqlite"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as store:
        rows = store.execute("SELECT document FROM documents WHERE stream = ? ORDER BY rowid", [stream])
        return [json.loads(document, parse_float=Decimal) for (document,) in rows]


Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"file": "{workdir}/documents.sqlite"},
    suite_config=SuiteConfig(reader=stored),
)
