"""What a tap wrote, line by line, parsed by the letter of the specification."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from singerkit_testing.wire import Flaw, Problem, decode

# A source to check a tap with is small; a tap that writes for ever must not take the memory.
MAX_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line, ended by LF alone: its number (from 1), the offset of its first byte, its bytes without the LF.

    Shape: `value` is what could be read of it (numbers exact; None if nothing), `problems` what is wrong with it.
    """

    number: int
    offset: int
    text: bytes
    value: Any
    problems: tuple[Problem, ...] = ()

    def problem(self, *flaws: Flaw) -> Problem | None:
        """Give the first problem of these kinds."""
        return next((problem for problem in self.problems if problem.flaw in flaws), None)

    def __str__(self) -> str:
        return f"line {self.number}: {self.text.decode('utf-8', 'replace')}"


@dataclass(frozen=True, slots=True)
class Message:
    """A line that is an object with a text as its `type` (given in capitals: the specification ignores case)."""

    line: Line
    type: str
    stream: str | None
    value: dict[str, Any]

    @property
    def number(self) -> int:
        """The number of its line."""
        return self.line.number

    @property
    def record(self) -> dict[str, Any]:
        """A RECORD's record; empty if it is no object."""
        return _object(self.value.get("record"))

    @property
    def schema(self) -> dict[str, Any]:
        """A SCHEMA's schema; empty if it is no object."""
        return _object(self.value.get("schema"))

    @property
    def properties(self) -> dict[str, Any]:
        """The top-level properties of a SCHEMA."""
        return _object(self.schema.get("properties"))

    @property
    def key_properties(self) -> list[str]:
        """A SCHEMA's key properties, as far as they are texts."""
        keys = self.value.get("key_properties")
        return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []

    @property
    def state(self) -> Any:
        """A STATE's value."""
        return self.value.get("value")

    def __str__(self) -> str:
        return str(self.line)


@dataclass(frozen=True)
class Transcript:
    """All lines of an output, and its messages by type, in their order.

    Shape: `cut` says that there was more than the harness keeps; what is here is the beginning, in whole lines.
    """

    lines: tuple[Line, ...]
    cut: bool = False

    @cached_property
    def messages(self) -> list[Message]:
        """The lines that are messages, whatever their type."""
        return [message for message in map(_message, self.lines) if message is not None]

    @cached_property
    def records(self) -> list[Message]:
        """The RECORD messages."""
        return self._typed("RECORD")

    @cached_property
    def schemas(self) -> list[Message]:
        """The SCHEMA messages."""
        return self._typed("SCHEMA")

    @cached_property
    def states(self) -> list[Message]:
        """The STATE messages."""
        return self._typed("STATE")

    @cached_property
    def activations(self) -> list[Message]:
        """The ACTIVATE_VERSION messages."""
        return self._typed("ACTIVATE_VERSION")

    @cached_property
    def batches(self) -> list[Message]:
        """The BATCH messages."""
        return self._typed("BATCH")

    @cached_property
    def streams(self) -> list[str]:
        """The names of the streams, in the order in which they appear."""
        return list(dict.fromkeys(message.stream for message in self.messages if message.stream is not None))

    @property
    def last_state(self) -> Message | None:
        """The last STATE, if there is one."""
        return self.states[-1] if self.states else None

    def of(self, stream: str) -> list[Message]:
        """All messages of a stream."""
        return self._by_stream.get(stream, [])

    def records_of(self, stream: str) -> list[Message]:
        """List the RECORD messages of a stream."""
        return [message for message in self.of(stream) if message.type == "RECORD"]

    def schemas_of(self, stream: str) -> list[Message]:
        """List the SCHEMA messages of a stream."""
        return self._schemas_by_stream.get(stream, [])

    def schema_before(self, message: Message) -> Message | None:
        """Give the SCHEMA that is in force for a message: the last of its stream before it."""
        schemas = self.schemas_of(message.stream) if message.stream is not None else []
        before = bisect_left(schemas, message.number, key=lambda schema: schema.number)
        return schemas[before - 1] if before else None

    def records_before(self, message: Message) -> list[Message]:
        """Give the records, of all streams, on the lines before a message."""
        return self.records[: bisect_left(self.records, message.number, key=lambda record: record.number)]

    def _typed(self, name: str) -> list[Message]:
        return [message for message in self.messages if message.type == name]

    @cached_property
    def _by_stream(self) -> dict[str, list[Message]]:
        grouped: dict[str, list[Message]] = {}
        for message in self.messages:
            if message.stream is not None:
                grouped.setdefault(message.stream, []).append(message)
        return grouped

    @cached_property
    def _schemas_by_stream(self) -> dict[str, list[Message]]:
        return {
            stream: [message for message in messages if message.type == "SCHEMA"]
            for stream, messages in self._by_stream.items()
        }


def parse_transcript(output: bytes, *, cut: bool = False) -> Transcript:
    """Cut an output at its line feeds, and at nothing else, and read every line; `cut` if its end is missing."""
    *ended, rest = output.split(b"\n", MAX_LINES)
    cut = cut or len(ended) == MAX_LINES
    lines: list[Line] = []
    offset = 0
    for text in ended:
        lines.append(_line(len(lines) + 1, offset, text))
        offset += len(text) + 1
    if rest and not cut:
        lines.append(_line(len(lines) + 1, offset, rest, Problem(Flaw.NO_LINE_FEED, "the output ends within a line")))
    return Transcript(tuple(lines), cut)


def _line(number: int, offset: int, text: bytes, *problems: Problem) -> Line:
    decoded = decode(text)
    return Line(number, offset, text, decoded.value, (*decoded.problems, *problems))


def _message(line: Line) -> Message | None:
    value = line.value
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    stream = value.get("stream")
    return Message(line, value["type"].upper(), stream if isinstance(stream, str) else None, value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
