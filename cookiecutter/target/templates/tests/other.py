"""The tests of the target, with a store of its own for each case."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

from singerkit_testing import SuiteConfig, get_target_test_class, target_sync_test

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

MESSAGES = Path(__file__).parents[1] / "demo/messages.jsonl"


def stored(stream: str, workdir: Path) -> list[dict[str, Any]]:
    """Read back what was stored of a stream."""
    file = workdir / "documents.sqlite"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as store:
        rows = store.execute("SELECT document FROM documents WHERE stream = ? ORDER BY rowid", [stream])
        return [json.loads(document, parse_float=Decimal) for (document,) in rows]


# Each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"file": "{workdir}/documents.sqlite"},
    suite_config=SuiteConfig(reader=stored),
)


def test_a_second_load_replaces_what_has_the_same_key(tmp_path: Path) -> None:
    """A batch that comes again changes nothing."""
    config = {"file": str(tmp_path / "documents.sqlite")}
    for _ in range(2):
        with MESSAGES.open(encoding="utf-8") as messages:
            target_sync_test({{ cookiecutter.__class }}(config=config), messages)
    assert [order["id"] for order in stored("orders", tmp_path)] == [11, 12, 13]
