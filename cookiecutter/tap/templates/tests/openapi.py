"""The tests of the tap: they need neither the API nor credentials, since the answers are in `recordings`."""

from pathlib import Path

from singerkit_testing import get_tap_test_class

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

RECORDINGS = Path(__file__).parents[1] / "recordings"

# Discovery, each stream, each property, and each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_tap_test_class({{ cookiecutter.__class }}, replay=RECORDINGS)


def test_every_stream_has_records() -> None:
    """The document, its streams and the recording agree."""
    with {{ cookiecutter.__class }}.replaying(RECORDINGS):
        for name, stream in {{ cookiecutter.__class }}().streams.items():
            assert list(stream.get_records(None)), name
