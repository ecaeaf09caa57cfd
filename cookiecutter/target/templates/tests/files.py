"""The tests of the target, with a folder of its own for each case."""

import json
from pathlib import Path

from singerkit_testing import SuiteConfig, get_target_test_class, target_sync_test

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

FOLDER = "{workdir}/out"
MESSAGES = Path(__file__).parents[1] / "demo/messages.jsonl"

# Each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"folder": FOLDER},
    suite_config=SuiteConfig(reader=FOLDER),
)


def test_a_batch_is_a_file(tmp_path: Path) -> None:
    """Records are stored as they came, and no draft is left."""
    with MESSAGES.open(encoding="utf-8") as messages:
        target_sync_test({{ cookiecutter.__class }}(config={"folder": str(tmp_path)}), messages)
    (file,) = tmp_path.glob("orders/*")
    orders = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [order["id"] for order in orders] == [11, 12, 13]
    assert orders[0]["updated_at"] == "2024-03-01T10:00:00Z"
