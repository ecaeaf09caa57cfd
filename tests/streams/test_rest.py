from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import parse_qsl

import backoff
import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Response

from singerkit import typing as th
from singerkit.errors import (
    AuthenticationError,
    ConfigurationError,
    FatalAPIError,
    RetriableAPIError,
    RetryBudgetError,
)
from singerkit.http.auth import APIKeyAuthenticator, BearerTokenAuthenticator, OAuthAuthenticator
from singerkit.http.paginate import (
    BaseAPIPaginator,
    BaseHATEOASPaginator,
    HeaderLinkPaginator,
    JSONPathPaginator,
    OffsetPaginator,
    PageNumberPaginator,
    SinglePagePaginator,
)
from singerkit.http.retry import RetryPolicy
from singerkit.streams.rest import HTTPRequest, PageContext, RESTStream
from singerkit.taps import Tap

SECRET = "s3cret-token"


class TapShop(Tap):
    name = "tap-shop"
    config_jsonschema = th.PropertiesList(th.Property("api_key", th.StringType, secret=True)).to_dict()

    def discover_streams(self):
        return []


def tap(**config) -> TapShop:
    return TapShop(config={"api_key": SECRET, **config}, validate_config=False)


@pytest.fixture(scope="module")
def _server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def api(_server: HTTPServer) -> HTTPServer:
    _server.clear()
    return _server


@pytest.fixture
def orders(api):
    """A stream class that reads the server and does not wait between tries."""

    class Orders(RESTStream):
        name = "orders"
        path = "/orders"
        url_base = f"http://127.0.0.1:{api.port}"
        records_jsonpath = "$.data[*]"
        primary_keys = ("id",)
        schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("price", th.NumberType)).to_dict()

        def backoff_wait_generator(self):
            return backoff.constant(0)

        def backoff_jitter(self, value):
            return value

    return Orders


def ids(stream, context=None) -> list[int]:
    return [record["id"] for record in stream.get_records(context)]


def rows(*numbers: int) -> list[dict]:
    return [{"id": number} for number in numbers]


def serve(api, answers, path="/orders", key="page", first="1"):
    """Answer by the value of one parameter; gives the list of requests."""
    seen: list = []

    def handle(request):
        seen.append(request)
        answer = answers[request.args.get(key, first)]
        return answer if isinstance(answer, Response) else Response(json.dumps(answer), content_type="application/json")

    api.expect_request(path).respond_with_handler(handle)
    return seen


# Paging


def test_pages_by_a_token_in_the_body(api, orders):
    class Stream(orders):
        next_page_token_jsonpath = "$.next"

        def get_url_params(self, context, next_page_token):
            return {"cursor": next_page_token, "tags": ["a", "b"], "none": None}

    seen = serve(api, {"": {"data": rows(1, 2), "next": "x"}, "x": {"data": rows(3)}}, key="cursor", first="")
    assert list(Stream(tap()).record_pages(None)) == [rows(1, 2), rows(3)]
    assert [request.query_string for request in seen] == [b"tags=a&tags=b", b"cursor=x&tags=a&tags=b"]


def test_pages_by_link_header_are_followed_as_they_stand(api, orders):
    class Stream(orders):
        paginator = HeaderLinkPaginator()

    link = {"Link": '</orders?page=2&size=9>; rel="next"'}
    first = Response(json.dumps({"data": rows(1)}), headers=link)
    seen = serve(api, {"1": first, "2": {"data": rows(2)}})
    assert ids(Stream(tap())) == [1, 2]
    assert seen[1].query_string == b"page=2&size=9"


def test_pages_by_url_in_the_body_with_the_authors_parameters(api, orders):
    class NextLink(BaseHATEOASPaginator):
        def get_next_url(self, response):
            return response.json().get("next")

    class Stream(orders):
        def get_new_paginator(self):
            return NextLink()

        def get_url_params(self, context, next_page_token):
            return dict(parse_qsl(next_page_token.query)) if next_page_token else {"page": 1}

    url = f"http://127.0.0.1:{api.port}/orders?page=2"
    serve(api, {"1": {"data": rows(1), "next": url}, "2": {"data": rows(2)}})
    assert ids(Stream(tap())) == [1, 2]


def test_declared_paginators_are_copied_for_each_context(api, orders):
    class Stream(orders):
        paginator = PageNumberPaginator(1, param="page")

    serve(api, {"1": {"data": rows(1)}, "2": {"data": rows(2)}, "3": {"data": []}})
    stream = Stream(tap())
    assert ids(stream) == ids(stream) == [1, 2]


def test_pages_by_offset(api, orders):
    class Stream(orders):
        paginator = OffsetPaginator(0, 2, param="offset", size_param="limit")

    answers = {"0": {"data": rows(1, 2)}, "2": {"data": rows(3)}, "4": {"data": []}}
    seen = serve(api, answers, key="offset")
    assert ids(Stream(tap())) == [1, 2, 3]
    assert {request.args["limit"] for request in seen} == {"2"}


def test_pages_by_the_legacy_hook(api, orders):
    class Stream(orders):
        next_page_token_jsonpath = "$.next"

        def get_next_page_token(self, response, previous_token):
            return super().get_next_page_token(response, previous_token)

        def get_url_params(self, context, next_page_token):
            return {"page": next_page_token}

    serve(api, {"1": {"data": rows(1), "next": 2}, "2": {"data": rows(2)}})
    assert ids(Stream(tap())) == [1, 2]


def test_pages_by_the_next_page_header_unless_said_otherwise(api, orders):
    class Stream(orders):
        def get_url_params(self, context, next_page_token):
            return {"page": next_page_token}

    first = Response(json.dumps({"data": rows(1)}), headers={"X-Next-Page": "2"})
    serve(api, {"1": first, "2": {"data": rows(2)}})
    assert ids(Stream(tap())) == [1, 2]


def test_no_paginator_is_a_single_page(api, orders):
    class Stream(orders):
        def get_new_paginator(self):
            return None

    serve(api, {"1": Response(json.dumps({"data": rows(1)}), headers={"X-Next-Page": "2"})})
    assert ids(Stream(tap())) == [1]


def test_an_empty_page_with_a_next_token_goes_on(api, orders):
    class Stream(orders):
        paginator = JSONPathPaginator("$.next", param="page")

    serve(api, {"1": {"data": rows(1), "next": 2}, "2": {"data": [], "next": 3}, "3": {"data": rows(3)}})
    assert ids(Stream(tap())) == [1, 3]


def test_empty_pages_without_end_are_an_error(api, orders):
    class Stream(orders):
        paginator = JSONPathPaginator("$.next", param="page")

    counted = iter(range(10**6))
    api.expect_request("/orders").respond_with_handler(
        lambda request: Response(json.dumps({"data": [], "next": f"n{next(counted)}"}))
    )
    with pytest.raises(FatalAPIError, match="3 empty pages in a row"):
        ids(Stream(tap()))
    assert next(counted) == 3


def test_a_circle_of_tokens_is_an_error(api, orders):
    class Stream(orders):
        paginator = JSONPathPaginator("$.next", param="page")

    seen = serve(
        api,
        {"1": {"data": rows(1), "next": "a"}, "a": {"data": rows(2), "next": "b"}, "b": {"data": rows(3), "next": "a"}},
    )
    with pytest.raises(FatalAPIError, match="Loop detected"):
        ids(Stream(tap()))
    assert len(seen) == 3


def test_a_token_that_is_not_sent_is_an_error(api, orders):
    class Stream(orders):
        next_page_token_jsonpath = "$.next"

    counted = iter(range(10**6))
    api.expect_request("/orders").respond_with_handler(
        lambda request: Response(json.dumps({"data": rows(1), "next": f"n{next(counted)}"}))
    )
    with pytest.raises(FatalAPIError, match="the request does not carry it"):
        ids(Stream(tap()))


@pytest.mark.parametrize("where", ["https://127.0.0.1", "http://elsewhere.example.com", "//elsewhere.example.com"])
def test_a_next_link_to_another_origin_is_an_error(api, orders, where):
    class Stream(orders):
        paginator = HeaderLinkPaginator()

    link = {"Link": f'<{where}/orders?page=2>; rel="next"'}
    serve(api, {"1": Response(json.dumps({"data": rows(1)}), headers=link)})
    with pytest.raises(FatalAPIError, match="the link to the next page points to"):
        ids(Stream(tap()))


# Records


def test_a_page_is_a_list_unless_a_hook_wants_records(orders):
    class Parsing(orders):
        def parse_response(self, response):
            yield from response.json()["data"]

    class Reading(orders):
        def get_records(self, context):
            yield {"id": 1}

    assert orders(tap()).spec().read_pages is not None
    assert orders(tap()).record_pages(None) is not None
    for kind in (Parsing, Reading):
        assert kind(tap()).record_pages(None) is None
        assert kind(tap()).spec().read_pages is None


def test_post_process_is_in_the_spec_where_it_is_overridden(orders):
    class Changing(orders):
        def post_process(self, row, context=None):
            return {**row, "more": 1}

    assert orders(tap()).spec().post_process is None
    assert Changing(tap()).spec().post_process({"id": 1}, None) == {"id": 1, "more": 1}


def test_own_parse_response_gets_a_real_response(api, orders):
    class Stream(orders):
        def parse_response(self, response):
            assert isinstance(response, requests.Response)
            assert response.json() is response.json()
            for row in response.json()["data"]:
                yield {"id": row["id"] * 10}

    serve(api, {"1": {"data": rows(1, 2)}})
    assert ids(Stream(tap())) == [10, 20]


def test_own_parse_response_may_read_something_else(api, orders):
    class Stream(orders):
        def parse_response(self, response):
            return ({"id": int(line)} for line in response.text.splitlines())

    serve(api, {"1": Response("1\n2\n")})
    assert ids(Stream(tap())) == [1, 2]


def test_a_single_object_is_a_record(api, orders):
    class Stream(orders):
        records_jsonpath = "$[*]"

    serve(api, {"1": {"id": 7, "message": "fine"}})
    assert ids(Stream(tap())) == [7]


@pytest.mark.parametrize(
    "body",
    [
        {"error": "quota exceeded"},
        {"message": "not allowed"},
        {"errors": [{"code": 7}], "data": None},
        {"data": [], "error": {"code": 1}},
    ],
)
def test_an_error_object_is_not_an_end(api, orders, body):
    serve(api, {"1": body})
    with pytest.raises(FatalAPIError, match="error object instead of records") as caught:
        ids(orders(tap()))
    assert "quota" not in str(caught.value)


def test_an_error_object_is_not_a_record(api, orders):
    class Stream(orders):
        records_jsonpath = "$[*]"

    serve(api, {"1": {"error": "quota exceeded", "id": "request-7"}})
    with pytest.raises(FatalAPIError, match="error object"):
        ids(Stream(tap()))


def test_a_record_may_have_a_property_called_error(api, orders):
    class Stream(orders):
        records_jsonpath = "$[*]"
        schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("error", th.StringType)).to_dict()

    serve(api, {"1": {"id": 1, "error": "the job failed"}})
    assert ids(Stream(tap())) == [1]


def test_a_missing_list_is_said(api, orders, caplog):
    serve(api, {"1": {"kind": "orders#list"}})
    with pytest.raises(FatalAPIError, match="the answer has nothing at"):
        ids(orders(tap()))
    class_with_less = orders(tap())
    class_with_less.records_may_be_absent = True
    assert ids(class_with_less) == []


def test_records_have_to_be_objects(api, orders):
    serve(api, {"1": {"data": [{"id": 1}, None]}})
    with pytest.raises(FatalAPIError, match="not all JSON objects"):
        ids(orders(tap()))


def test_no_content_is_no_records(api, orders, caplog):
    serve(api, {"1": Response("", 204)})
    assert ids(orders(tap())) == []
    assert not [record for record in caplog.records if record.name.startswith("tap-shop")]


@pytest.mark.parametrize(
    ("asked", "schema_type", "kind"),
    [(None, th.NumberType, float), (None, th.SingerDecimalType, Decimal), (True, th.NumberType, Decimal)],
)
def test_digits_are_kept_where_they_count(api, orders, asked, schema_type, kind):
    class Stream(orders):
        schema = th.PropertiesList(th.Property("price", schema_type)).to_dict()
        exact_numbers = asked

    serve(api, {"1": Response('{"data": [{"price": 12345678901234.123456789}]}')})
    [record] = Stream(tap()).get_records(None)
    assert type(record["price"]) is kind
    assert kind is float or str(record["price"]) == "12345678901234.123456789"


# Requests


def test_the_url_takes_names_from_context_and_config(orders):
    class Items(orders):
        path = "/{region}/orders/{order_id}/items"

    url = Items(tap(region="eu", order_id="wrong")).get_url({"order_id": "a/b?c#d"})
    assert url.endswith("/eu/orders/a%2Fb%3Fc%23d/items")


def test_name_path_schema_and_method_may_be_given(orders):
    stream = orders(tap(), name="other", path="/other", schema={"properties": {}}, http_method="PUT")
    assert (stream.name, stream.path, stream.http_method) == ("other", "/other", "PUT")
    stream.http_method = "DELETE"
    assert stream.http_method == "DELETE"


def test_the_legacy_name_of_the_method(api, orders):
    class Search(orders):
        rest_method = "POST"

        def prepare_request_payload(self, context, next_page_token):
            return {"query": "all"}

    seen: list = []
    api.expect_request("/orders", method="POST").respond_with_handler(
        lambda request: seen.append(request.json) or Response(json.dumps({"data": rows(1)}))
    )
    assert ids(Search(tap())) == [1]
    assert seen == [{"query": "all"}]


def test_a_form_where_the_payload_is_not_json(api, orders):
    class Search(orders):
        http_method = "POST"
        payload_as_json = False

        def prepare_request_payload(self, context, next_page_token):
            return {"query": "all"}

    seen: list = []
    api.expect_request("/orders", method="POST").respond_with_handler(
        lambda request: seen.append(request.form.to_dict()) or Response(json.dumps({"data": rows(1)}))
    )
    assert ids(Search(tap())) == [1]
    assert seen == [{"query": "all"}]


def test_headers(api, orders):
    class Stream(orders):
        @property
        def http_headers(self):
            return {**super().http_headers, "Accept": "application/x-shop"}

    seen = serve(api, {"1": {"data": []}})
    ids(Stream(tap()))
    ids(Stream(tap(user_agent="me/1")))
    assert [request.headers["Accept"] for request in seen] == ["application/x-shop"] * 2
    assert seen[0].headers["User-Agent"].startswith("singerkit/")
    assert seen[1].headers["User-Agent"] == "me/1"


def test_text_and_characters_of_the_query_are_left_as_the_author_wants(api, orders):
    class Text(orders):
        def get_url_params(self, context, next_page_token):
            return "filter=(a,b)"

    class Request(orders):
        def get_http_request(self, *, page: PageContext) -> HTTPRequest:
            request = super().get_http_request(page=page)
            request.params["filter"] = "(a,b)"
            request.safe_query_chars = "(),"
            return request

    seen = serve(api, {"1": {"data": []}})
    ids(Text(tap()))
    ids(Request(tap()))
    assert [request.query_string for request in seen] == [b"filter=(a,b)"] * 2


def test_hooks_are_called_in_the_known_order_with_the_known_arguments(api, orders):
    calls: list[str] = []

    class Stream(orders):
        path = "/orders"
        next_page_token_jsonpath = "$.next"

        def get_records(self, context):
            calls.append(f"get_records({context})")
            yield from super().get_records(context)

        def request_records(self, context):
            calls.append(f"request_records({context})")
            yield from super().request_records(context)

        def get_new_paginator(self):
            calls.append("get_new_paginator()")
            return super().get_new_paginator()

        def request_decorator(self, func):
            calls.append("request_decorator(func)")
            return super().request_decorator(func)

        def prepare_request(self, context, next_page_token):
            calls.append(f"prepare_request({context}, {next_page_token})")
            return super().prepare_request(context, next_page_token)

        def get_url(self, context):
            calls.append(f"get_url({context})")
            return super().get_url(context)

        @property
        def http_headers(self):
            calls.append("http_headers")
            return {}

        def get_url_params(self, context, next_page_token):
            calls.append(f"get_url_params({context}, {next_page_token})")
            return {"page": next_page_token}

        def prepare_request_payload(self, context, next_page_token):
            calls.append(f"prepare_request_payload({context}, {next_page_token})")

        def _request(self, prepared_request, context):
            calls.append(f"_request({prepared_request.method}, {context})")
            return super()._request(prepared_request, context)

        @property
        def authenticator(self):
            calls.append("authenticator")
            return super().authenticator

        def validate_response(self, response):
            calls.append(f"validate_response({response.status_code})")
            super().validate_response(response)

        def calculate_sync_cost(self, request, response, context):
            calls.append(f"calculate_sync_cost({request.method}, {response.status_code}, {context})")
            return {"rest": 1}

        def parse_response(self, response):
            calls.append(f"parse_response({response.status_code})")
            yield from super().parse_response(response)

        def post_process(self, row, context=None):
            raise AssertionError("the engine calls it")

    serve(api, {"1": {"data": rows(1), "next": 2}, "2": {"data": rows(2)}})
    context = {"shop": "a"}
    stream = Stream(tap())
    assert ids(stream, context) == [1, 2]

    def page(token):
        return [
            f"prepare_request({context}, {token})",
            f"get_url({context})",
            "http_headers",
            f"get_url_params({context}, {token})",
            f"prepare_request_payload({context}, {token})",
            f"_request(GET, {context})",
            "authenticator",
            "validate_response(200)",
            f"calculate_sync_cost(GET, 200, {context})",
            "parse_response(200)",
        ]

    assert calls == [
        f"get_records({context})",
        f"request_records({context})",
        "get_new_paginator()",
        "request_decorator(func)",
        *page(None),
        *page(2),
    ]
    assert stream.update_sync_costs(requests.PreparedRequest(), requests.Response(), None)["rest"] == 3


# Credentials


@pytest.mark.parametrize(
    ("declared", "header"),
    [
        (BearerTokenAuthenticator(token="{api_key}"), ("Authorization", f"Bearer {SECRET}")),
        (APIKeyAuthenticator(key="X-Key", value="{api_key}"), ("X-Key", SECRET)),
    ],
)
def test_declared_credentials_come_from_the_config(api, orders, declared, header):
    class Stream(orders):
        auth = declared

    seen = serve(api, {"1": {"data": []}})
    ids(Stream(tap()))
    assert seen[0].headers[header[0]] == header[1]


def test_streams_of_a_tap_share_declared_credentials(orders):
    class Base(orders):
        auth = BearerTokenAuthenticator(token="{api_key}")

    class Other(Base):
        name = "other"

    one, two = tap(), tap(api_key="another")
    assert Base(one).authenticator is Other(one).authenticator
    assert Base(one).authenticator is not Base(two).authenticator


def test_the_hook_wins_over_the_declared_part(api, orders):
    class Stream(orders):
        auth = BearerTokenAuthenticator(token="{api_key}")
        paginator = PageNumberPaginator(1, param="page")

        @property
        def authenticator(self):
            return BearerTokenAuthenticator.create_for_stream(self, token="own")

        def get_new_paginator(self):
            return SinglePagePaginator()

    seen = serve(api, {"1": {"data": rows(1)}})
    assert ids(Stream(tap())) == [1]
    assert seen[0].headers["Authorization"] == "Bearer own"


def test_a_request_elsewhere_is_refused_unless_allowed(api, orders):
    class Stream(orders):
        def get_url(self, context):
            return f"http://127.0.0.1:{api.port}/orders"

        url_base = "https://api.example.com"

    class Allowed(Stream):
        allowed_origins = (f"http://127.0.0.1:{api.port}",)

    serve(api, {"1": {"data": rows(1)}})
    with pytest.raises(FatalAPIError, match="add it to allowed_origins"):
        ids(Stream(tap()))
    assert ids(Allowed(tap())) == [1]


def test_no_url_base(orders):
    class Stream(orders):
        url_base = ""

    with pytest.raises(ConfigurationError, match="check url_base"):
        ids(Stream(tap()))


def test_a_refused_token_is_refreshed_in_mid_run(api, orders):
    class Stream(orders):
        paginator = PageNumberPaginator(1, param="page")
        auth = OAuthAuthenticator(
            auth_endpoint=f"http://127.0.0.1:{api.port}/token", client_id="me", client_secret="{api_key}"
        )

    issued: list[str] = []

    def give(request):
        issued.append(f"t{len(issued)}")
        return Response(json.dumps({"access_token": issued[-1]}))

    def data(request):
        page = int(request.args["page"])
        if page == 2 and len(issued) == 1:
            return Response("", 401)
        return Response(json.dumps({"data": rows(page) if page < 4 else []}))

    api.expect_request("/token").respond_with_handler(give)
    api.expect_request("/orders").respond_with_handler(data)
    assert ids(Stream(tap())) == [1, 2, 3]
    assert issued == ["t0", "t1"]


def test_refused_for_good(api, orders):
    serve(api, {"1": Response(f"who is {SECRET}?", 401)})
    with pytest.raises(AuthenticationError, match="401 Client Error: Unauthorized for path: /orders") as caught:
        ids(orders(tap()))
    assert SECRET not in str(caught.value)


# Failures


def failing(api, *failures: Response, then=None):
    """Answer with each failure once, then well; gives the times of the requests."""
    times: list[float] = []
    left = list(failures)

    def handle(request):
        times.append(time.monotonic())
        return left.pop(0) if left else Response(json.dumps(then or {"data": rows(1)}))

    api.expect_request("/orders").respond_with_handler(handle)
    return times


def test_server_errors_and_malformed_json_are_tried_again(api, orders, caplog):
    times = failing(
        api, Response("", 500), Response("", 503), Response('{"data": [{"id": 1}, {"i'), Response("<p>", 200)
    )
    assert ids(orders(tap())) == [1]
    assert len(times) == 5
    assert "path /orders: try 1 failed (status 500); again in 0.0 s" in caplog.text


def test_the_first_wait_of_the_default_schedule(orders):
    waits = RESTStream.backoff_wait_generator(orders(tap()))
    waits.send(None)
    assert [waits.send(None) for _ in range(3)] == [2, 4, 8]
    assert 2 <= RESTStream.backoff_jitter(orders(tap()), 2) <= 3


def test_tries_end(api, orders):
    class Stream(orders):
        def backoff_max_tries(self):
            return 3

    times = failing(api, *[Response("", 502) for _ in range(9)])
    with pytest.raises(RetriableAPIError, match=r"502 Server Error: Bad Gateway for path: /orders \(gave up after 3"):
        ids(Stream(tap()))
    assert len(times) == 3


def test_a_declared_policy(api, orders):
    class Stream(orders):
        retry = RetryPolicy(max_tries=2, statuses=frozenset({418}))

    times = failing(api, Response("", 418), Response("", 418))
    with pytest.raises(RetriableAPIError, match="gave up after 2 tries"):
        ids(Stream(tap()))
    assert len(times) == 2


def test_other_client_errors_are_final(api, orders):
    times = failing(api, Response("secret body", 404))
    with pytest.raises(FatalAPIError, match="404 Client Error: Not Found for path: /orders") as caught:
        ids(orders(tap()))
    assert len(times) == 1
    assert "secret" not in str(caught.value)


def test_extra_statuses_are_tried_again(api, orders):
    class Stream(orders):
        extra_retry_statuses = (404, 429)

    failing(api, Response("", 404))
    assert ids(Stream(tap())) == [1]


def test_tolerated_statuses_end_the_context(api, orders, caplog):
    class Stream(orders):
        tolerated_http_errors = (404,)

    failing(api, Response("gone", 404))
    assert ids(Stream(tap())) == []
    assert "the API answered 404, which is tolerated" in caplog.text


def test_post_is_tried_again_only_when_marked(api, orders):
    class Posting(orders):
        http_method = "POST"

    class Marked(Posting):
        retry = RetryPolicy(repeat_unsafe=True)

    times = failing(api, Response("", 500), Response("", 500))
    with pytest.raises(RetriableAPIError, match="500"):
        ids(Posting(tap()))
    assert len(times) == 1
    assert ids(Marked(tap())) == [1]


def test_a_pause_holds_all_streams_of_a_tap(api, orders):
    class Other(orders):
        name = "other"
        path = "/other"

    times = failing(api, Response("", 429, headers={"Retry-After": "1"}))
    other_times: list[float] = []
    api.expect_request("/other").respond_with_handler(
        lambda request: other_times.append(time.monotonic()) or Response(json.dumps({"data": []}))
    )
    shop = tap()
    thread = threading.Thread(target=ids, args=(orders(shop),))
    thread.start()
    while not times:
        time.sleep(0.01)
    time.sleep(0.1)
    ids(Other(shop))
    thread.join()
    assert times[1] - times[0] >= 0.95
    assert other_times[0] - times[0] >= 0.95


def test_a_pause_over_the_budget_fails_at_once(api, orders):
    class Stream(orders):
        retry = RetryPolicy(total_s=5)

    failing(api, Response("", 429, headers={"Retry-After": "86400"}))
    stream = Stream(tap())
    with pytest.raises(RetryBudgetError, match="the next try is 86400 s away"):
        ids(stream)
    with pytest.raises(FatalAPIError, match="asks for a pause of 86400 s"):
        ids(stream)


def test_own_validation_and_waits_from_the_answer(api, orders):
    handled: list[dict] = []

    class Stream(orders):
        def validate_response(self, response):
            if response.json().get("busy"):
                raise RetriableAPIError("busy", response)
            super().validate_response(response)

        def backoff_wait_generator(self):
            return self.backoff_runtime(value=lambda error: error.response.json()["wait"])

        def backoff_handler(self, details):
            handled.append(details)

    failing(api, Response('{"busy": true, "wait": 0.01}'))
    assert ids(Stream(tap())) == [1]
    assert [details["wait"] for details in handled] == [0.01]


def test_own_decorator(api, orders):
    class Stream(orders):
        def request_decorator(self, func):
            kinds = (RetriableAPIError, requests.exceptions.RequestException)
            return backoff.on_exception(backoff.constant, kinds, max_tries=4, interval=0, jitter=None)(func)

    times = failing(api, Response("", 500), Response("", 500))
    assert ids(Stream(tap())) == [1]
    assert len(times) == 3


def test_own_session(api, orders):
    class Stream(orders):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self._requests_session = requests.Session()
            self._requests_session.headers["X-Own"] = "1"

    seen = serve(api, {"1": {"data": rows(1)}})
    stream = Stream(tap())
    assert ids(stream) == [1]
    assert seen[0].headers["X-Own"] == "1"
    stream.requests_session.close()


def test_a_failure_in_mid_stream_comes_after_the_pages_before_it(api, orders):
    class Stream(orders):
        paginator = PageNumberPaginator(1, param="page")

    serve(api, {"1": {"data": rows(1)}, "2": Response("", 404)})
    pages = Stream(tap()).record_pages(None)
    assert next(pages) == rows(1)
    with pytest.raises(FatalAPIError):
        next(pages)


# Several contexts at once


def test_contexts_do_not_get_in_each_others_way(api, orders):
    class Items(orders):
        path = "/orders/{order}/items"
        paginator = JSONPathPaginator("$.next", param="page")

    def handle(request):
        order, page = int(request.path.split("/")[2]), int(request.args.get("page", 1))
        body = {"data": rows(order * 100 + page), "next": page + 1 if page < 5 else None}
        return Response(json.dumps(body))

    for order in range(8):
        api.expect_request(f"/orders/{order}/items").respond_with_handler(handle)
    stream, found = Items(tap()), {}

    def work(order):
        found[order] = ids(stream, {"order": order})

    threads = [threading.Thread(target=work, args=(order,)) for order in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {order: [order * 100 + page for page in range(1, 6)] for order in range(8)}


def test_each_thread_has_a_session_like_the_first(orders):
    stream = orders(tap())
    stream.requests_session.headers["X-Own"] = "1"
    sessions = []
    thread = threading.Thread(target=lambda: sessions.append(stream.requests_session))
    thread.start()
    thread.join()
    assert sessions[0] is not stream.requests_session
    assert stream.requests_session is stream.requests_session
    assert sessions[0].headers["X-Own"] == "1"


# What it leaves in logs, what it costs


def test_logs_have_neither_values_nor_urls(api, orders, caplog):
    class Stream(orders):
        path = "/orders/{order}"
        auth = APIKeyAuthenticator(key="key", value="{api_key}", location="params")

    caplog.set_level(logging.DEBUG)
    api.expect_request("/orders/private-7").respond_with_data(json.dumps({"data": [{"id": 1, "name": "private"}]}))
    ids(Stream(tap()), {"order": "private-7"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("tap-shop", "singerkit"))]
    assert ours
    assert not [line for line in ours if SECRET in line or "private" in line]


def test_generic_with_and_without_a_parameter(orders):
    class Numbered(RESTStream[int]):
        name = "numbered"

    assert issubclass(Numbered, RESTStream)


def test_unknown_paginators_end_on_an_empty_page_if_they_count(api, orders):
    class Days(BaseAPIPaginator[int]):
        def get_next(self, response):
            return self.current_value + 1

    class Stream(orders):
        def get_new_paginator(self):
            return Days(1)

        def get_url_params(self, context, next_page_token):
            return {"page": next_page_token}

    serve(api, {"1": {"data": rows(1)}, "2": {"data": []}})
    assert ids(Stream(tap())) == [1]


def test_importing_streams_does_not_import_requests():
    heavy = "{'requests', 'urllib3', 'jsonpath', 'backoff'}"
    code = f"import sys, singerkit.streams.rest; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
