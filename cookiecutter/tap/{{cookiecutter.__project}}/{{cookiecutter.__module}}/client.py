{% if cookiecutter.source == "other" %}
"""The source. This one makes its readings up: put in its place what asks the real one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

FIRST = datetime(2024, 3, 1, tzinfo=UTC)


def readings_since(start: datetime | None) -> Iterator[dict[str, Any]]:
    """Give all readings from a moment on, the oldest first; without a moment, all there are."""
    for number in range(10):
        at = FIRST + timedelta(hours=6 * number)
        if start is None or at >= start:
            yield {"id": number, "sensor": "cellar", "at": at, "celsius": 8 + number / 4}
{% endif %}
