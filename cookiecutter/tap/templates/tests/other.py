"""The tests of the tap."""

from singerkit_testing import get_tap_test_class

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

CONFIG = {"start_date": "2024-03-01T00:00:00Z"}

# Discovery, each stream, each property, and each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_tap_test_class({{ cookiecutter.__class }}, config=CONFIG)


def test_a_second_run_reads_what_is_new() -> None:
    """The client is asked from the bookmark on."""
    bookmark = {"replication_key": "at", "replication_key_value": "2024-03-03T00:00:00Z"}
    tap = {{ cookiecutter.__class }}(state={"bookmarks": {"readings": bookmark}})
    readings = [reading for reading in tap.streams["readings"].get_records(None) if isinstance(reading, dict)]
    assert [reading["id"] for reading in readings] == [8, 9]
