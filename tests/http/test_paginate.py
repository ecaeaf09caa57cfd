from __future__ import annotations

import json
from urllib.parse import urlparse

import pytest
import requests

from singerkit.errors import FatalAPIError
from singerkit.http.paginate import (
    BaseAPIPaginator,
    BaseHATEOASPaginator,
    BaseOffsetPaginator,
    BasePageNumberPaginator,
    HeaderLinkPaginator,
    JSONPathPaginator,
    LegacyStreamPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SimpleHeaderPaginator,
    SinglePagePaginator,
)


def answer(body=None, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = json.dumps(body).encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def tokens(paginator, *responses) -> list:
    seen = []
    for response in responses:
        assert not paginator.finished
        seen.append(paginator.current_value)
        paginator.advance(response)
    return seen


def test_single_page_is_finished_after_one():
    paginator = SinglePagePaginator()
    assert tokens(paginator, answer()) == [None]
    assert paginator.finished
    assert paginator.count == 1


def test_token_in_body():
    paginator = JSONPathPaginator("$.meta.next")
    assert tokens(paginator, answer({"meta": {"next": "b"}}), answer({"meta": {}})) == [None, "b"]
    assert paginator.finished


def test_token_in_header():
    paginator = SimpleHeaderPaginator("X-Next-Page")
    assert tokens(paginator, answer(X_Next_Page="2"), answer(X_Next_Page="")) == [None, "2"]
    assert paginator.finished


def test_link_header_gives_a_parsed_url():
    paginator = HeaderLinkPaginator()
    link = '<https://api.example.com/x?page=2>; rel="next", <https://api.example.com/x?page=9>; rel="last"'
    assert tokens(paginator, answer(Link=link), answer()) == [None, urlparse("https://api.example.com/x?page=2")]
    assert paginator.finished


def test_url_in_body_by_the_author():
    class NextLink(BaseHATEOASPaginator):
        def get_next_url(self, response):
            return response.json().get("next")

    paginator = NextLink()
    assert tokens(paginator, answer({"next": "/x?a=1&b=2"}), answer({})) == [None, urlparse("/x?a=1&b=2")]


@pytest.mark.parametrize("kind", [PageNumberPaginator, BasePageNumberPaginator])
def test_page_number(kind):
    assert tokens(kind(1), answer(), answer(), answer()) == [1, 2, 3]


@pytest.mark.parametrize("kind", [OffsetPaginator, BaseOffsetPaginator])
def test_offset(kind):
    paginator = kind(0, 50)
    assert paginator.page_size == 50
    assert tokens(paginator, answer(), answer()) == [0, 50]


def test_has_more_ends_it():
    class Flagged(PageNumberPaginator):
        def has_more(self, response):
            return response.json()["more"]

    paginator = Flagged(start_value=1)
    assert tokens(paginator, answer({"more": True}), answer({"more": False})) == [1, 2]
    assert paginator.finished


def test_own_start_value_and_arguments():
    class Windows(BaseAPIPaginator[str]):
        def __init__(self, start_date, *, days):
            super().__init__(start_date)
            self.days = days

        def get_next(self, response):
            return None if self._page_count > self.days else f"{self._value}+"

    assert tokens(Windows("d", days=1), answer(), answer()) == ["d", "d+"]


def test_legacy_hook_is_asked_with_the_previous_token():
    asked = []

    class Legacy:
        def get_next_page_token(self, response, previous_token):
            asked.append(previous_token)
            return (previous_token or 1) + 1 if response.json() else None

    paginator = LegacyStreamPaginator(Legacy())
    assert tokens(paginator, answer([1]), answer([1]), answer([])) == [None, 2, 3]
    assert asked == [None, 2, 3]
    assert paginator.finished


def test_the_same_token_twice_is_a_loop():
    paginator = JSONPathPaginator("$.next")
    paginator.advance(answer({"next": "secret-token"}))
    with pytest.raises(FatalAPIError, match="Loop detected") as caught:
        paginator.advance(answer({"next": "secret-token"}))
    assert "secret-token" not in str(caught.value)
    assert "secret-token" not in repr(paginator)


def test_declared_parameters():
    assert PageNumberPaginator(1, param="page").url_params(3) == {"page": 3}
    assert OffsetPaginator(0, 20, param="offset", size_param="limit").url_params(0) == {"offset": 0, "limit": 20}
    assert JSONPathPaginator("$.next", param="cursor").url_params(None) == {}
    assert JSONPathPaginator("$.next").url_params("a") == {}


@pytest.mark.parametrize(
    ("paginator", "goes_on"),
    [(PageNumberPaginator(1), False), (JSONPathPaginator("$.n"), True), (HeaderLinkPaginator(), True)],
)
def test_an_empty_page_ends_what_is_counted_only(paginator, goes_on):
    assert paginator.continue_if_empty(answer([])) is goes_on
