"""The tests of the tap, with the files of the demo."""

from pathlib import Path

from singerkit_testing import get_tap_test_class

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

CONFIG = {"folder": str(Path(__file__).parents[1] / "demo")}

# Discovery, each stream, each property, and each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_tap_test_class({{ cookiecutter.__class }}, config=CONFIG)


def test_a_second_run_reads_what_is_new() -> None:
    """Files before the one that was read last are skipped."""
    bookmark = {"replication_key": "file", "replication_key_value": "2024-03-02.csv"}
    tap = {{ cookiecutter.__class }}(config=CONFIG, state={"bookmarks": {"measurements": bookmark}})
    rows = [row for row in tap.streams["measurements"].get_records(None) if isinstance(row, dict)]
    assert [(row["file"], row["line"], row["celsius"]) for row in rows] == [
        ("2024-03-02.csv", 2, 8.75),
        ("2024-03-02.csv", 3, None),
    ]
