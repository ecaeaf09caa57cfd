"""The class an author subclasses to make a mapper: a program that rewrites messages between a tap and a target.

Each hook takes a line's object and gives the messages to write instead: none, one, or several. The order of messages is
kept, so a state never overtakes the records before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, BinaryIO, ClassVar

from singerkit.cli.mapper import mapper_command
from singerkit.cli.plugin import PluginCommand
from singerkit.cli.target import input_descriptor
from singerkit.config.settings import PluginCapabilities
from singerkit.engine.spec import default_hook
from singerkit.errors import InvalidInputLine
from singerkit.plugins import Plugin
from singerkit.protocol.messages import (
    ActivateVersionMessage,
    BatchMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
)


class InlineMapper(Plugin):
    """Rewrites messages. Override the hooks for the messages that change; the others pass as they are."""

    kind = "mapper"
    capabilities: ClassVar[Sequence[str]] = (
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    )

    @default_hook
    def map_schema_message(self, message_dict: dict[str, Any]) -> Iterable[Message]:
        """Rewrite a SCHEMA message."""
        yield SchemaMessage.from_dict(message_dict)

    @default_hook
    def map_record_message(self, message_dict: dict[str, Any]) -> Iterable[Message]:
        """Rewrite a RECORD message; numbers with a fraction are ``Decimal``."""
        yield RecordMessage.from_dict(message_dict)

    @default_hook
    def map_state_message(self, message_dict: dict[str, Any]) -> Iterable[Message]:
        """Rewrite a STATE message."""
        yield StateMessage.from_dict(message_dict)

    @default_hook
    def map_activate_version_message(self, message_dict: dict[str, Any]) -> Iterable[Message]:
        """Rewrite an ACTIVATE_VERSION message."""
        yield ActivateVersionMessage.from_dict(message_dict)

    @default_hook
    def map_batch_message(self, message_dict: dict[str, Any]) -> Iterable[Message]:
        """Rewrite a BATCH message."""
        yield BatchMessage.from_dict(message_dict)

    def _assert_line_requires(self, line_dict: dict[str, Any], requires: Collection[str]) -> None:
        """Refuse a message without these members; what comes in was already checked, so for other dicts.

        Errors: ``InvalidInputLine``.
        """
        if missing := sorted(set(requires) - line_dict.keys()):
            raise InvalidInputLine(f"a {line_dict.get('type', 'message')} has no {', '.join(missing)}")

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Rewrite a stream of Singer messages, from a file that has a descriptor or stdin, to stdout.

        Errors: what the run gives; ``SystemExit`` with 128 plus the signal's number when a signal stopped it.
        """
        # Imported here: `--help` and `--about` do not need what runs a mapper, and start faster without it.
        from singerkit.engine.rewrite import rewrite
        from singerkit.engine.stop import StopSignal
        from singerkit.protocol.writer import MessageWriter, claim_stdout, write_to

        # First, as a closed one's number would go to what is opened next.
        messages = input_descriptor(file_input)
        writer = MessageWriter(write_to(claim_stdout()))
        stop = StopSignal()
        stop.listen()
        rewrite(messages, self._hooks(), writer, stop)
        if stop:
            raise SystemExit(stop.exit_code)

    def _hooks(self) -> dict[str, Callable[[dict[str, Any]], Iterable[Message]]]:
        return {
            "SCHEMA": self.map_schema_message,
            "RECORD": self.map_record_message,
            "STATE": self.map_state_message,
            "ACTIVATE_VERSION": self.map_activate_version_message,
            "BATCH": self.map_batch_message,
        }

    @classmethod
    def _command(cls) -> PluginCommand:
        return mapper_command(cls)
