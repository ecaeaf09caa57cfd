"""What a body format is: it compiles, once a stream, to a function from a file to blocks of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

from singerkit.errors import FatalAPIError, RetriableAPIError
from singerkit.types import Record

#: Gives the records of a body, in blocks: lists with at least one record.
ReadBody: TypeAlias = Callable[[IO[bytes]], Iterator[list[Record]]]

#: What is read of a file at once; a block of records is about as large.
PIECE_BYTES = 256 * 1024
#: The most that one record may take, as text.
MAX_RECORD_BYTES = 64 * 1024 * 1024
WHITESPACE = b" \t\r\n"
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyDeclaration:
    """What a stream says that a format has to know.

    Shape: ``properties`` are the schema's; ``decode`` turns JSON text into values, as the stream wants its numbers.
    """

    properties: Mapping[str, Any]
    records_jsonpath: str
    records_may_be_absent: bool
    exact_numbers: bool
    decode: Callable[[bytes], Any]


class BodyFormat(ABC):
    """How the records are written in a body; a stream declares one as ``body_format``."""

    #: What kind of text this is, for messages.
    kind: str = ""

    @abstractmethod
    def compile(self, declared: BodyDeclaration) -> ReadBody:
        """Give the function that reads a body.

        Errors: ``ConfigurationError`` for a declaration that does not go with the format. The function raises
        ``RetriableAPIError`` where the text is not of this kind, and ``FatalAPIError`` where it is and has no records.
        """

    def check(self, file: IO[bytes]) -> None:
        """Judge at little cost, before a body is read, whether it ends as a whole one does.

        Errors: ``RetriableAPIError`` when it was cut short, or is something else altogether.
        """
        if not tail_of(file):
            raise RetriableAPIError(f"the answer is empty, where {self.kind} should be")

    def malformed(self, where: str) -> RetriableAPIError:
        """Give the error for a body that is not of this kind."""
        return RetriableAPIError(f"the answer is not {self.kind}: {where}; is url_base the API's?")


def tail_of(file: IO[bytes]) -> bytes:
    """Give the last bytes of a file without the white space at its end; the file is at its beginning afterwards."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read().rstrip(WHITESPACE)
    file.seek(0)
    return tail


def head_of(file: IO[bytes]) -> bytes:
    """Give the first bytes of a file without a byte order mark and white space before them."""
    file.seek(0)
    head = file.read(_TAIL_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip(WHITESPACE)
    file.seek(0)
    return head


def check_records(records: list[Any], what: str) -> list[Record]:
    """Give records that are all JSON objects.

    Errors: ``FatalAPIError`` where one is not.
    """
    if not {dict}.issuperset(map(type, records)):
        raise FatalAPIError(f"what {what} finds are not all JSON objects, as records are")
    return records


def too_large(what: str) -> FatalAPIError:
    """Give the error for a record that the memory should not hold."""
    return FatalAPIError(f"{what} is over {MAX_RECORD_BYTES} bytes, more than one record may have")
