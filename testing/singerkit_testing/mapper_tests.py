"""The tests that every mapper class gets, beside the rules."""

from __future__ import annotations

from singerkit_testing.templates import MapperTestTemplate, assert_command_tells


class MapperCLIPrintsTest(MapperTestTemplate):
    """The command tells what the mapper is, without a config."""

    name = "cli_prints"

    def test(self) -> None:
        """Ask for the version and for the description in both forms."""
        assert_command_tells(self.runner, self.mapper.name)


class MapperMapsTest(MapperTestTemplate):
    """Messages of every type go through, and what comes out are messages."""

    name = "maps"

    def validate(self) -> None:
        """Look whether anything came out: a state always does."""
        assert self.runner.state_messages, "of a valid input no state came out"  # noqa: S101
