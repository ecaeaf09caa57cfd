"""A correct mapper in plain Python: every broken and every unusual mapper of the corpus changes one thing of it.

    python mapper.py --config config.json < messages.jsonl > mapped.jsonl

It lets everything pass. Only the standard library: nothing here can share a mistake with the harness or with an SDK.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from target import UNEXPECTED, Refusal, encode, exact, refuse_constant

NAME, VERSION = "mapper-reference", "1.0"


class Mapper:
    """A mapper; each step is a method of its own."""

    def __init__(self) -> None:
        self.number = 0

    def about(self) -> dict[str, Any]:
        settings = {"type": "object", "properties": {}}
        return {"name": NAME, "version": VERSION, "capabilities": ["about"], "settings": settings}

    def run(self, options: argparse.Namespace) -> None:
        if options.version:
            return self.write(f"{NAME} v{VERSION}")
        if options.about:
            return self.write(json.dumps(self.about()))
        for message in self.messages(sys.stdin.buffer):
            for mapped in self.map(message):
                self.write(self.encode(mapped))
        for mapped in self.finish():
            self.write(self.encode(mapped))
        return None

    def lines(self, stream: BinaryIO) -> Iterable[bytes]:
        return stream

    def messages(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        for line in self.lines(stream):
            self.number += 1
            text = line.removeprefix(b"\xef\xbb\xbf") if self.number == 1 else line
            if text.strip():
                yield self.message(text)

    def message(self, line: bytes) -> dict[str, Any]:
        message = self.decode(line)
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Refusal("it is no object with a type")
        return {**message, "type": message["type"].upper()}

    def decode(self, line: bytes) -> Any:
        return json.loads(line.decode("utf-8"), parse_float=exact, parse_constant=refuse_constant)

    def map(self, message: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """The messages to write in place of one."""
        yield message

    def finish(self) -> Iterable[dict[str, Any]]:
        """The messages to write at the end of the input."""
        return ()

    def encode(self, message: dict[str, Any]) -> str:
        return encode(message)

    def write(self, line: str) -> None:
        print(line, flush=True)

    def log(self, level: str, text: str) -> None:
        print(f"{level} {text}", file=sys.stderr)

    def failed(self, error: Exception) -> int:
        """Say what went wrong; the exit code."""
        self.log("CRITICAL", f"line {self.number}: {error or type(error).__name__}")
        return 1


def main(mapper: Mapper, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=NAME)
    parser.add_argument("--config")
    parser.add_argument("--format")
    parser.add_argument("--about", action="store_true")
    parser.add_argument("--version", action="store_true")
    try:
        mapper.run(parser.parse_args(arguments))
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except (Refusal, OSError, *UNEXPECTED) as error:
        return mapper.failed(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(Mapper(), sys.argv[1:]))
