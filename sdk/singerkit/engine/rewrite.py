"""A mapper's run: each line through the hook for its type, what comes out to stdout, in order."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from singerkit.engine.stop import StopSignal
from singerkit.protocol.codec import decode_exact
from singerkit.protocol.messages import Message
from singerkit.protocol.reader import Event, MessageReader, RecordRun
from singerkit.protocol.writer import MessageWriter

Hook: TypeAlias = Callable[[dict[str, Any]], Iterable[Message]]

_READ_BYTES = 1024 * 1024
_FLUSH_SECONDS = 1.0


def rewrite(input_descriptor: int, hooks: Mapping[str, Hook], writer: MessageWriter, stop: StopSignal) -> None:
    """Rewrite all input until it ends or a signal comes; then everything read so far is written.

    Errors: ``ProtocolError`` for bad input, whatever a hook raises.
    """
    reader = MessageReader()
    descriptors = [input_descriptor, *([stop.wake_reader] if stop.wake_reader is not None else [])]
    while not stop:
        ready = select.select(descriptors, [], [], _FLUSH_SECONDS)[0]
        writer.flush_if_due()
        if input_descriptor not in ready:
            continue
        data = os.read(input_descriptor, _READ_BYTES)
        for event in reader.feed(data) if data else reader.close():
            for message in _messages_of(event):
                _rewrite_one(message, hooks, writer)
        if not data:
            break
    writer.flush()


def _messages_of(event: Event) -> Iterator[dict[str, Any]]:
    if isinstance(event, RecordRun):
        for line in event.lines.split(b"\n"):
            if line:
                yield {**decode_exact(line), "type": "RECORD"}
    else:
        yield {**event.members, "type": event.type}


def _rewrite_one(message: dict[str, Any], hooks: Mapping[str, Hook], writer: MessageWriter) -> None:
    hook = hooks.get(message["type"])
    if hook is None:
        writer.write_line(message)
        return
    for rewritten in hook(message):
        writer.write_line(rewritten.to_dict())
    if message["type"] == "STATE":
        writer.flush()
