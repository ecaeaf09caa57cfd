"""JSON lines: a record a line (https://jsonlines.org), also called NDJSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec

from singerkit.http.bodies.base import (
    MAX_RECORD_BYTES,
    PIECE_BYTES,
    WHITESPACE,
    BodyDeclaration,
    BodyFormat,
    ReadBody,
    check_records,
    head_of,
    tail_of,
    too_large,
)
from singerkit.http.pages import compile_records
from singerkit.types import Record


class JSONLinesFormat(BodyFormat):
    """A body with a JSON object on each line; empty lines are left out.

    A body without lines is an answer that got lost, unless the stream says that its ``records_may_be_absent``.
    """

    kind = "JSON lines"

    def compile(self, declared: BodyDeclaration) -> ReadBody:
        """Give the function that reads a body."""
        whole = compile_records("$", declared.properties)
        decode_lines = _compile_lines(exact_numbers=declared.exact_numbers)

        def read(file: IO[bytes]) -> Iterator[list[Record]]:
            lines_before = 0
            for text in _pieces_of_lines(file):
                try:
                    records = decode_lines(text)
                except ValueError:
                    raise self.malformed(f"see line {lines_before + 1} or one of the lines after it") from None
                if lines_before == 0 and len(records) == 1:
                    whole(records[0])  # an error object, perhaps
                lines_before += text.count(b"\n")
                if records:
                    yield check_records(records, "a line")

        return read

    def check(self, file: IO[bytes]) -> None:
        """Look at the two ends: the last line is not whole where the answer was cut short."""
        super().check(file)
        head, tail = head_of(file), tail_of(file)
        _, newline, last_line = tail.rpartition(b"\n")
        if not (head.startswith(b"{") and tail.endswith(b"}")):
            raise self.malformed("it does not begin and end with an object")
        if newline and not _is_json(last_line):
            raise self.malformed("its last line is not whole")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _pieces_of_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Cut a file into pieces of whole lines."""
    rest = b""
    while piece := file.read(PIECE_BYTES):
        end = piece.rfind(b"\n") + 1
        if not end:
            rest += piece
            if len(rest) > MAX_RECORD_BYTES:
                raise too_large("a line of the answer")
            continue
        yield rest + piece[:end]
        rest = piece[end:]
    if rest.strip(WHITESPACE):
        yield rest


def _compile_lines(*, exact_numbers: bool) -> Callable[[bytes], list[Any]]:
    from decimal import Decimal

    decoder: Any = msgspec.json.Decoder(float_hook=Decimal) if exact_numbers else msgspec.json.Decoder()
    parse_float: Any = Decimal if exact_numbers else None

    def decode_lines(text: bytes) -> list[Any]:
        try:
            return decoder.decode_lines(text)  # type: ignore[no-any-return]
        except (msgspec.DecodeError, UnicodeDecodeError):
            lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
            return [json.loads(line, parse_float=parse_float) for line in lines if line.strip(WHITESPACE)]

    return decode_lines
