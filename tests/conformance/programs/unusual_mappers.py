"""Mappers that are unusual and correct: no rule may fail. `python unusual_mappers.py holds_back < messages.jsonl`.

A class is the reference mapper but for the one thing that its first line says.
"""

from __future__ import annotations

import sys
import time

import by_name
from mapper import Mapper, main

_BATCH = 3


class HoldsBack(Mapper):
    """Records wait for two more, and come out stream by stream, before what is no record."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def map(self, message):
        if message["type"] != "RECORD":
            return [*self.released(), message]
        self.waiting.append(message)
        return self.released() if len(self.waiting) == _BATCH else []

    def released(self):
        ready, self.waiting = sorted(self.waiting, key=lambda message: message["stream"]), []
        return ready

    def finish(self):
        return self.released()


class Rewrites(Mapper):
    """Streams get other names, odd ids are left out, every third record comes twice, and each gets the time."""

    def map(self, message):
        if "stream" in message:
            message["stream"] = f"mapped-{message['stream']}"
        if message["type"] == "SCHEMA":
            message["schema"]["properties"]["mapped_at"] = {"type": "number"}
        if message["type"] != "RECORD":
            return [message]
        number = message["record"]["id"]
        message["record"]["mapped_at"] = time.time_ns()
        return [message] * (0 if number % 2 else 2 if number % 3 == 0 else 1)

    def encode(self, message):
        """Members in another order, and texts as escapes."""
        return super().encode(dict(reversed(message.items())))


class LastStateOnly(Mapper):
    """Of the states that come in, only the last one before the end comes out."""

    def __init__(self):
        super().__init__()
        self.last = []

    def map(self, message):
        if message["type"] == "STATE":
            self.last = [message]
        else:
            yield message

    def finish(self):
        return self.last


PROGRAMS = by_name.programs_in(dict(globals()), Mapper)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
