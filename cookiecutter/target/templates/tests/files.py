"""The tests of the target: each rule of the Singer specification, with a folder of its own for each case."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from singerkit_testing import SuiteConfig, get_target_test_class

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}


def stored(stream: str, workdir: Path) -> Iterator[dict[str, Any]]:
    """Read back what was stored of a stream."""
    for path in sorted((workdir / "out" / f"stream-{quote(stream, safe='')}").glob("*.jsonl")):
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"folder": "{workdir}/out"},
    suite_config=SuiteConfig(reader=stored),
)
