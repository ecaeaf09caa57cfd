"""The shapes that travel through singerkit, by the names authors know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    import requests

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: One row of a stream: property name to value.
Record: TypeAlias = dict[str, Any]
#: What tells one partition of a stream from another; hashable values only.
Context: TypeAlias = Mapping[str, Any]
#: A JSON Schema document.
Schema: TypeAlias = dict[str, Any]
#: What a tap's STATE carries: ``{"bookmarks": {stream: {...}}}``.
TapState: TypeAlias = dict[str, Any]
#: A path of selection metadata: ``()`` or ``("properties", "a", "properties", "b")``.
Breadcrumb: TypeAlias = tuple[str, ...]
#: Puts credentials on a request: an authenticator, or any function that does.
Auth: TypeAlias = "Callable[[requests.PreparedRequest], requests.PreparedRequest]"
#: A step of the record's path: gives the record to pass on, or ``None`` to drop it.
Step: TypeAlias = Callable[[Record], Record | None]


class TypeConformanceLevel(Enum):
    """How much of a record is brought into the form of its schema; dates, numbers and the like always are.

    ``RECURSIVE``: nested objects keep the properties that their schema names. ``ROOT_ONLY``: nested objects keep all
    that was not deselected. ``NONE`` is for who knows the name: it means the same, as a record never has properties
    that its schema does not know.
    """

    RECURSIVE = 1
    ROOT_ONLY = 2
    NONE = 3


class ReadAhead(Protocol):
    """Runs a function on items at the same time, and gives the results in the items' order.

    Shape: it reads ahead of who takes the results, within a bounded memory; ``result_bytes`` is about what one result
    takes. Close the iterator to give up what was not taken.

    Errors: what the function raised, in its turn: after the results before it.
    """

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], *, result_bytes: int
    ) -> Iterator[_Result]:
        """Give the results one after the other."""
