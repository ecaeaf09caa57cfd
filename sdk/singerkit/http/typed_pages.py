"""A page decoded once, straight into the structs that its records are encoded from.

Beside the records only what the paginator reads is decoded. An answer that does not fit, for whatever reason, is left
to the ordinary way, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from msgspec import UNSET

from singerkit.http.extract import leading_names, plain_list_path
from singerkit.records.reading import RowType
from singerkit.records.rows import Rows

if TYPE_CHECKING:
    import requests

_Path: TypeAlias = tuple[str, ...]
#: Finds the records in a decoded envelope, and makes a small body of the rest.
_Split: TypeAlias = Callable[[Any], tuple[list[Any], Any]]

#: Answers in a row that may fail to fit before no more are tried.
_MOST_MISFITS = 8


def open_page_decoder(
    records_jsonpath: str, body_paths: Iterable[str] | None, row_type: RowType | None
) -> PageDecoder | None:
    """Give a decoder for the pages of one context; ``None`` where paths don't lead straight to a list of records.

    ``body_paths`` are the JSONPaths that the paginator reads, ``None`` if that is not known.
    """
    records_path = plain_list_path(records_jsonpath)
    if row_type is None or records_path is None:
        return None
    skimmed = [leading_names(path) for path in body_paths or ()]
    if not all(skimmed) or any(_leads_into(path, records_path) for path in skimmed):
        return None
    return PageDecoder(records_path, skimmed, row_type, skims=body_paths is not None)


def rows_of(response: requests.Response) -> Rows | None:
    """Give the records of an answer that was decoded here."""
    return getattr(response, "rows", None)


class PageDecoder:
    """Decodes answers; several threads may do so."""

    def __init__(self, records_path: _Path, skimmed: Sequence[_Path], row_type: RowType, *, skims: bool) -> None:
        self._records_path = records_path
        self._skimmed = skimmed
        self._row_type = row_type
        self._skims = skims
        self._compiled: tuple[Any, Callable[[bytes], Any]] | None = None
        self._split = _compile_split(records_path)
        self._misfits = 0

    def decode(self, response: requests.Response) -> bool:
        """Decode the records of an answer into ``response.rows``; tell whether that was possible.

        Somebody who reads the body all the same, by ``response.json()``, gets it; the next answers are then left to the
        ordinary way, for decoding twice is dearer than decoding once.
        """
        row_type = self._row_type() if self._misfits < _MOST_MISFITS else None
        if row_type is None or getattr(response.json, "decoded", None):
            return False
        try:
            structs, skim = self._split(self._decoder_for(row_type)(response.content))
        except (msgspec.DecodeError, ValueError, RecursionError):  # a name that no struct can have is a ValueError
            self._misfits += 1
            return False
        if not structs:
            return False
        self._misfits = 0
        response.rows = Rows(structs)  # type: ignore[attr-defined]
        if self._skims:
            response.skim = skim  # type: ignore[attr-defined]
        self._watch(response)
        return True

    def _decoder_for(self, row_type: Any) -> Callable[[bytes], Any]:
        known, decode = self._compiled or (None, None)
        if decode is None or known is not row_type:
            decode = msgspec.json.Decoder(_envelope(self._records_path, self._skimmed, row_type)).decode
            self._compiled = row_type, decode
        return decode

    def _watch(self, response: requests.Response) -> None:
        read = response.json

        def json(**kwargs: Any) -> Any:
            self._misfits = _MOST_MISFITS
            return read(**kwargs)

        response.json = json  # type: ignore[method-assign]


def _leads_into(path: _Path, records_path: _Path) -> bool:
    """Tell whether a path needs the list of records, or something around it as a whole."""
    shared = min(len(path), len(records_path))
    return path[:shared] == records_path[:shared]


def _envelope(records_path: _Path, skimmed: Sequence[_Path], row_type: Any) -> Any:
    """Give the type of an answer: the records at their place, the first member of each other path, nothing else."""
    if not records_path:
        return list[row_type]
    name, rest = records_path[0], records_path[1:]
    within = [path[1:] for path in skimmed if path[0] == name]
    beside = dict.fromkeys(path[0] for path in skimmed if path[0] != name)
    fields: list[Any] = [("records", _envelope(rest, within, row_type))]
    fields += [(f"f{index}", Any, UNSET) for index, _ in enumerate(beside)]
    names = {"records": name, **{f"f{index}": other for index, other in enumerate(beside)}}
    return msgspec.defstruct("Envelope", fields, rename=names, kw_only=True, gc=False)


def _compile_split(records_path: _Path) -> _Split:
    if not records_path:
        return lambda records: (records, None)
    inner = _compile_split(records_path[1:])

    def split(envelope: Any) -> tuple[list[Any], Any]:
        records, within = inner(envelope.records)
        named = zip(envelope.__struct_encode_fields__[1:], envelope.__struct_fields__[1:], strict=True)
        skim = {name: value for name, field in named if (value := getattr(envelope, field)) is not UNSET}
        return records, {**skim, records_path[0]: within} if within is not None else skim

    return split
