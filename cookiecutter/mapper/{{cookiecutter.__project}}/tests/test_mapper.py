"""The tests of the mapper."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from {{ cookiecutter.__module }}.mapper import {{ cookiecutter.__class }}

DEMO = Path(__file__).parents[1] / "demo"


def rewritten(record: dict[str, Any]) -> dict[str, Any]:
    """Give what becomes of a record."""
    mapper = {{ cookiecutter.__class }}(config={"masked": ["email"]})
    (message,) = mapper.map_record_message({"type": "RECORD", "stream": "people", "record": record})
    return dict(message.to_dict()["record"])


def test_masked_values_can_be_compared_but_not_read() -> None:
    """The same value has the same digest."""
    first, second = rewritten({"id": 1, "email": "a@example.com"}), rewritten({"id": 2, "email": "a@example.com"})
    assert first["email"] == second["email"] != "a@example.com"
    assert first["id"] == 1


def test_nothing_stays_nothing() -> None:
    """Null, and a property that is not there, are left as they are."""
    assert rewritten({"email": None}) == {"email": None}
    assert rewritten({}) == {}


def test_the_singer_specification_is_kept() -> None:
    """The harness gives it every kind of input, and holds what it writes to the rules."""
    command = f"{sys.executable} -m {{ cookiecutter.__module }}"
    words = ["check", command, "--mapper", "--config", str(DEMO / "config.json")]
    done = subprocess.run([sys.executable, "-m", "singerkit", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
