"""Pages that begin after the last record of the page before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.errors import FatalAPIError
from singerkit.http.extract import compile_first
from singerkit.http.paginate.base import FEW_EMPTY_PAGES, BaseAPIPaginator
from singerkit.http.paginate.places import is_path, paths_of

if TYPE_CHECKING:
    import requests

    from singerkit.types import Record


class KeysetPaginator(BaseAPIPaginator[Any]):
    """The next page is asked for by the last record's key: ``KeysetPaginator("id", param="starting_after")``.

    The parameter has to mean *after* (or *before*) that key, without it. An empty page is the end, unless ``more_at``
    says that it came before.
    """

    max_empty_pages = FEW_EMPTY_PAGES
    needs_last_record: ClassVar[bool] = True

    def __init__(self, key: str, *args: Any, start_value: Any = None, **kwargs: Any) -> None:
        """Take the property's name, or a JSONPath in the record if it begins with ``$``."""
        super().__init__(start_value, *args, **kwargs)
        self._key = key
        self._last: Any = None
        self.body_paths = paths_of((self.more_at,))

    def observe(self, count: int | None, last: Record | None) -> None:
        """Remember the last record's key.

        Errors: ``FatalAPIError`` when the record has none.
        """
        self._last = None
        if last is None:
            return
        self._last = compile_first(self._key)(last) if is_path(self._key) else last.get(self._key)
        if self._last is None:
            raise FatalAPIError(f"the last record of a page has no '{self._key}', by which the next page is asked for")

    def continue_if_empty(self, response: requests.Response) -> bool:
        """Say no: there is no key to go on from. Where a flag says that there is more, ``advance`` is an error."""
        return self.more_at is not None

    def get_next(self, response: requests.Response) -> Any:
        """Give the last record's key."""
        return self._last
