"""The tests of the target, with a database of its own for each case."""

from pathlib import Path

from singerkit_testing import SuiteConfig, get_target_test_class, target_sync_test
from sqlalchemy import create_engine, text

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

DATABASE = "sqlite:///{workdir}/out.db"
MESSAGES = Path(__file__).parents[1] / "demo/messages.jsonl"

# Each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config={"sqlalchemy_url": DATABASE},
    suite_config=SuiteConfig(reader=DATABASE),
)


def test_a_second_load_changes_rows_and_adds_none(tmp_path: Path) -> None:
    """Records are told from others by their key."""
    url = f"sqlite:///{tmp_path}/out.db"
    for _ in range(2):
        with MESSAGES.open(encoding="utf-8") as messages:
            target_sync_test({{ cookiecutter.__class }}(config={"sqlalchemy_url": url}), messages)
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, email FROM orders ORDER BY id")).all()
    engine.dispose()
    assert rows == [(11, "ada@example.com"), (12, None), (13, "grace@example.com")]
