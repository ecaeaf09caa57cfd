"""One JSON array too large for the memory: cut between its elements, and decoded a piece at a time.

Only strings and brackets are looked at to find where an element ends; what is in the elements is msgspec's work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec

from singerkit.errors import ConfigurationError, FatalAPIError
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
from singerkit.http.extract import plain_list_path
from singerkit.http.pages import compile_records
from singerkit.types import Record

#: A body up to this size is decoded at once, as any other answer is.
_SMALL_BYTES = 1024 * 1024
#: A string, whole or (at the end of what has been read) not; or a bracket.
_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}:,]', re.DOTALL)
#: What stands between two elements, with the first name of the second.
_JOINT = re.compile(rb'\}\s*,\s*\{\s*"[^"\\]*"\s*:')
#: So many joints may turn out to be inside elements before they are looked for no more.
_MOST_MISSES = 4
_OPENING = frozenset((b"[", b"{"))
_CLOSING = frozenset((b"]", b"}"))


class JSONArrayFormat(BodyFormat):
    """A body with one large JSON array: the whole of it, or where ``records_jsonpath`` says, e.g. ``$.data[*]``.

    The records are not held in memory all at once. Page tokens have to come from headers, or be counted.
    """

    kind = "JSON"

    def compile(self, declared: BodyDeclaration) -> ReadBody:
        """Give the function that reads a body."""
        path = declared.records_jsonpath
        names = plain_list_path(path)
        if names is None:
            raise ConfigurationError(
                f"records_jsonpath '{path}' can't be read a piece at a time: write names and a [*] at the end"
            )
        records_of = compile_records(path, declared.properties, may_be_absent=declared.records_may_be_absent)
        decode = _tolerant(declared.decode, exact_numbers=declared.exact_numbers)

        def read(file: IO[bytes]) -> Iterator[list[Record]]:
            if file.seek(0, 2) > _SMALL_BYTES:
                yield from self._read_pieces(file, names, decode, path)
                return
            file.seek(0)
            try:
                records = records_of(decode(file.read()))
            except (ValueError, RecursionError):
                raise self.malformed("it can't be decoded") from None
            if records:
                yield records

        return read

    def check(self, file: IO[bytes]) -> None:
        """Look at the two ends: they are brackets that belong together, unless the answer was cut short."""
        super().check(file)
        ends = (head_of(file)[:1], tail_of(file)[-1:])
        if ends not in {(b"[", b"]"), (b"{", b"}")}:
            raise self.malformed("it does not begin and end with a bracket")

    def _read_pieces(
        self, file: IO[bytes], names: tuple[str, ...], decode: Callable[[bytes], Any], path: str
    ) -> Iterator[list[Record]]:
        begin = _begin_of_array(file, [name.encode() for name in names])
        if begin is None:
            raise FatalAPIError(f"the answer has no array at {path}")
        elements = _Elements(file, begin, decode)
        try:
            for records in elements:
                yield check_records(records, path)
        except (ValueError, RecursionError):
            raise self.malformed("a part of its array can't be decoded") from None
        if not elements.ended or not _closes(file, elements.end, len(names)):
            raise self.malformed("it breaks off")


def _tokens(file: IO[bytes], begin: int, pattern: re.Pattern[bytes]) -> Iterator[tuple[bytes, int]]:
    """Give the tokens of a file from an offset on, each with the offset of its end."""
    file.seek(begin)
    text, offset = b"", begin
    while piece := file.read(PIECE_BYTES):
        text += piece
        done = 0
        for match in pattern.finditer(text):
            token = match[0]
            if token[:1] == b'"' and (len(token) == 1 or match.end() == len(text)):
                break  # it may go on in what has not been read
            done = match.end()
            yield token, offset + done
        else:
            done = len(text)
        text, offset = text[done:], offset + done
        if len(text) > MAX_RECORD_BYTES:
            raise too_large("a text of the answer")


def _begin_of_array(file: IO[bytes], names: list[bytes]) -> int | None:
    """Give the offset behind the bracket that opens the array at the end of a path of names."""
    depth = found = level = 0
    due, text = True, b""  # whether the next value is the one that the path leads to; the last string
    for token, end in _tokens(file, 0, _TOKEN):
        if token in _OPENING:
            if due and depth == level:
                if found == len(names) or token == b"[":
                    return end if found == len(names) and token == b"[" else None
                level, due = depth + 1, False
            depth += 1
        elif token in _CLOSING:
            depth -= 1
            if depth < level:
                return None
        elif depth != level:
            continue
        elif token == b",":
            if due:
                return None
        elif token != b":":
            text = token
        elif not due and json.loads(text).encode() == names[found]:
            found, due = found + 1, True
    return None


def _closes(file: IO[bytes], begin: int, depth: int) -> bool:
    """Say whether what follows the array closes the objects that it is in."""
    for token, _ in _tokens(file, begin, _BRACKET):
        depth += 1 if token in _OPENING else -1 if token in _CLOSING else 0
    return depth == 0


class _Elements:
    """The elements of an array, decoded some at a time.

    Where an element ends is found by its brackets. That is slow beside decoding, so what stands between the first two
    elements, ``},{"id":`` for instance, is looked for first: if all before the last of them decodes as elements, it
    truly is between two elements, for no other cut gives whole values.
    """

    def __init__(self, file: IO[bytes], begin: int, decode: Callable[[bytes], Any]) -> None:
        self._file = file
        self._begin = begin
        self._decode = decode
        self._is_first = True
        self._joint: bytes | None = None
        self._misses = 0
        self.ended = False
        #: The offset behind the bracket that closes the array.
        self.end = begin

    def __iter__(self) -> Iterator[list[Any]]:
        """Give lists of elements.

        Errors: ``ValueError`` for what is not JSON.
        """
        self._file.seek(self._begin)
        text, offset, scanned, depth = b"", self._begin, 0, 1
        at_end = False
        while not (self.ended or at_end):
            piece = self._file.read(PIECE_BYTES)
            at_end = not piece
            text += piece
            if scanned == 0 and (found := self._jump(text)) is not None:
                boundary, elements = found
            else:
                scanned, depth, boundary = self._scan(text, scanned, depth)
                if self.ended:
                    self.end, boundary = offset + scanned, scanned - 1
                elements = self._decoded(text[:boundary])
            if elements:
                yield elements
            text, offset, scanned = text[boundary:], offset + boundary, max(0, scanned - boundary)
            if len(text) > MAX_RECORD_BYTES:
                raise too_large("a record of the answer")

    def _jump(self, text: bytes) -> tuple[int, list[Any]] | None:
        """Go to the last joint, if all before it is elements; give where that is, and the elements."""
        boundary = text.rfind(self._joint) + 1 if self._joint is not None else 0
        if not boundary:
            return None
        try:
            return boundary, self._decoded(text[:boundary])
        except (ValueError, RecursionError):
            self._misses += 1
            if self._misses > _MOST_MISSES:
                self._joint = None
            return None

    def _scan(self, text: bytes, scanned: int, depth: int) -> tuple[int, int, int]:
        """Look at the brackets from ``scanned`` on; give how far it came, the depth there, and the last boundary."""
        boundary = 0
        for match in _BRACKET.finditer(text, scanned):
            token = match[0]
            if token in _OPENING:
                depth += 1
            elif token in _CLOSING:
                depth -= 1
                if depth == 1:
                    if not boundary and self._is_first:
                        self._learn_joint(text, match.start())
                    boundary = match.end()
                elif depth == 0:
                    self.ended = True
                    return match.end(), depth, boundary
            elif len(token) == 1 or match.end() == len(text):
                return match.start(), depth, boundary  # a string that may go on in what has not been read
        return len(text), depth, boundary

    def _learn_joint(self, text: bytes, first_end: int) -> None:
        joint = _JOINT.match(text, first_end)
        self._joint = joint[0] if joint else None

    def _decoded(self, text: bytes) -> list[Any]:
        elements = text.strip(WHITESPACE)
        found: list[Any] = self._decode(_as_array(elements, first=self._is_first))
        self._is_first = self._is_first and not elements
        return found


def _as_array(elements: bytes, *, first: bool) -> bytes:
    """Make an array of a run of elements; all runs but the first begin with a comma. ``b""``, no JSON, if one does not.

    The run before the closing bracket may be empty.
    """
    if not elements or first:
        return b"[" + elements + b"]"
    return b"[" + elements[1:] + b"]" if elements[:1] == b"," and len(elements) > 1 else b""


def _tolerant(decode: Callable[[bytes], Any], *, exact_numbers: bool) -> Callable[[bytes], Any]:
    """Have what the fast decoder refuses, such as NaN, read by the standard library's."""
    from decimal import Decimal

    parse_float: Any = Decimal if exact_numbers else None

    def decode_text(text: bytes) -> Any:
        try:
            return decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return json.loads(text, parse_float=parse_float)

    return decode_text
