"""Mappers with one defect each: `python broken_mappers.py states_overtake --config config.json < messages.jsonl`.

A class is the reference mapper but for the one thing that its first line says; `../catalogue.py` names the rule that
it must trip.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import by_name
from mapper import Mapper, main
from target import Refusal
from unusual_mappers import HoldsBack


class StatesOvertake(HoldsBack):
    """Records wait until there are three; states don't."""

    def map(self, message):
        if message["type"] == "STATE":
            return [message]
        return super().map(message)


class StatesBackwards(Mapper):
    """States wait for the end, and the newest comes first."""

    def __init__(self):
        super().__init__()
        self.states = []

    def map(self, message):
        if message["type"] != "STATE":
            yield message
        else:
            self.states.insert(0, message)

    def finish(self):
        return self.states


class StateIsStamped(Mapper):
    """The mapper writes its name into each state."""

    def map(self, message):
        if message["type"] == "STATE":
            message["value"]["mapped_by"] = "me"
        yield message


class BatchBorderLost(Mapper):
    """Of every five records, the one that fills a batch is dropped."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def map(self, message):
        self.count += message["type"] == "RECORD"
        if message["type"] != "RECORD" or self.count % 5:
            yield message


class LastBatchLost(HoldsBack):
    """What waits at the end of the input is never written."""

    def finish(self):
        return []


class DecimalsRounded(Mapper):
    """Numbers with a fraction go through binary floating point."""

    def decode(self, line):
        return json.loads(line)


class NullsDropped(Mapper):
    """A record with a null in it is skipped."""

    def map(self, message):
        if message["type"] != "RECORD" or None not in message["record"].values():
            yield message


class VersionsLost(Mapper):
    """Records lose their version, and ACTIVATE_VERSION passes: a target deletes them all."""

    def map(self, message):
        if message["type"] == "RECORD":
            message.pop("version", None)
        yield message


class LinesByRead(Mapper):
    """What one read gives is taken for whole lines."""

    def lines(self, stream):
        while data := os.read(0, 1 << 16):
            yield from data.split(b"\n")

    def messages(self, stream):
        for line in self.lines(stream):
            try:
                yield self.message(line)
            except ValueError:
                continue


class CrlfRefused(Mapper):
    """A line that ends with CRLF is refused."""

    def decode(self, line):
        if line.endswith(b"\r\n"):
            raise Refusal("it ends with CRLF")
        return super().decode(line)


class BadLineSkipped(Mapper):
    """A line that is no JSON is skipped."""

    def messages(self, stream):
        for line in self.lines(stream):
            try:
                yield self.message(line)
            except ValueError as error:
                self.log("WARNING", str(error))


class UnknownTypeRefused(Mapper):
    """A type that Singer has not is refused."""

    def map(self, message):
        if message["type"] not in ("RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION"):
            raise Refusal(f"unknown type {message['type']}")
        yield message


class EmptyInputRefused(Mapper):
    """An input without messages is an error."""

    def finish(self):
        if not self.number:
            raise Refusal("there is no input")
        return ()


class OtherStreamsRefused(Mapper):
    """Only the streams that the config names are known."""

    def map(self, message):
        if message.get("stream", "users") != "users":
            raise Refusal(f"unknown stream {message['stream']}")
        yield message


class WaitsForReader(Mapper):
    """A closed stdout is tried again for ever."""

    def write(self, line):
        while True:
            try:
                return os.write(1, f"{line}\n".encode())
            except OSError:
                time.sleep(0.1)


class IgnoresSigterm(Mapper):
    """SIGTERM is ignored."""

    def run(self, options):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        super().run(options)


class SchemaForgotten(Mapper):
    """A property is added to the records and not to their schema."""

    def map(self, message):
        if message["type"] == "RECORD":
            message["record"]["source"] = "here"
        yield message


class LogsPlainText(Mapper):
    """`--about` says that the log can be structured, and it never is."""

    def about(self):
        return {**super().about(), "capabilities": ["about", "structured-logging"]}

    def run(self, options):
        super().run(options)
        self.log("INFO", f"{self.number} lines")


PROGRAMS = by_name.programs_in(dict(globals()), Mapper)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
