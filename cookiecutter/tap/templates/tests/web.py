{% set key = "updated_at" if cookiecutter.source == "rest" else "updatedAt" %}
"""The tests of the tap: they need neither the API nor credentials, since the answers are in `recordings`."""

from pathlib import Path
from typing import Any

from singerkit import Stream
from singerkit_testing import get_tap_test_class

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

RECORDINGS = Path(__file__).parents[1] / "recordings"

# Discovery, each stream, each property, and each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_tap_test_class({{ cookiecutter.__class }}, replay=RECORDINGS)


def ids_of(stream: Stream) -> list[Any]:
    """Read a stream, from its bookmark if it has one."""
    return [record["id"] for record in stream.get_records(None) if isinstance(record, dict)]


def test_all_pages_are_read() -> None:
    """No page is left out, and none comes twice."""
    with {{ cookiecutter.__class }}.replaying(RECORDINGS):
        assert ids_of({{ cookiecutter.__class }}().streams["customers"]) == [1, 2, 3]


def test_a_second_run_reads_what_is_new() -> None:
    """Records before the bookmark are not asked for."""
    bookmark = {"replication_key": "{{ key }}", "replication_key_value": "2024-03-03T10:00:00Z"}
    with {{ cookiecutter.__class }}.replaying(RECORDINGS):
        tap = {{ cookiecutter.__class }}(state={"bookmarks": {"orders": bookmark}})
        assert ids_of(tap.streams["orders"]) == [13, 14, 15]
