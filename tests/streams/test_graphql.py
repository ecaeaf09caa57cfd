"""GraphQL streams against a server that truly executes the queries."""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode

import backoff
import pytest
from graphql import GraphQLError, build_schema, graphql_sync
from pytest_httpserver import HTTPServer
from werkzeug import Response

from singerkit import GraphQLStream, Stream, Tap
from singerkit import typing as th
from singerkit.errors import AuthenticationError, ConfigurationError, FatalAPIError, RetriableAPIError
from singerkit.http.graphql import as_document, declared_variables, describe_errors, is_mutation
from singerkit.http.paginate import RelayPaginator
from singerkit.http.retry import RetryPolicy

SDL = """
type Query {
  orders(first: Int!, after: String, customer: ID, status: [Status!]): OrderConnection
  flaky(id: ID!): [Order]
  shop: Shop
}
type Shop { orders: [Order!], name: String }
type OrderConnection { edges: [OrderEdge!]!, pageInfo: PageInfo! }
type OrderEdge { cursor: String!, node: Order }
type PageInfo { hasNextPage: Boolean!, endCursor: String }
enum Status { OPEN SHIPPED }
type Order { id: ID!, total: Float!, status: Status!, note: String }
"""
ORDERS = [
    {"id": str(number), "total": number / 4, "status": "SHIPPED" if number % 3 else "OPEN", "customer": number % 2}
    for number in range(1, 13)
]
CONNECTION = """
# The orders of a shop, {a page at a time}.
query Orders($first: Int!, $after: String, $customer: ID, $status: [Status!]) {
  orders(first: $first, after: $after, customer: $customer, status: $status) {
    edges { node { id total status } }
    pageInfo { hasNextPage endCursor }
  }
}
"""

SHIPPED = {"status": ["SHIPPED"], "first": 2}
ONE = {"first": 1}
SECRET = {"key": "s3cret-value"}


class Shop:
    """Resolves the queries; keeps what it was asked."""

    def __init__(self):
        self.schema = build_schema(SDL)
        self.asked = []
        self.before = []  # answers to give first, instead of executing
        self.failing = set()

    def orders(self, info, first, after=None, customer=None, status=None):
        found = [
            order
            for order in ORDERS
            if (customer is None or str(order["customer"]) == customer) and (not status or order["status"] in status)
        ]
        start = int(b64decode(after)) if after else 0
        page = found[start : start + first]
        end = start + len(page)
        return {
            "edges": [{"cursor": "", "node": self._node(order)} for order in page],
            "pageInfo": {"hasNextPage": end < len(found), "endCursor": b64encode(str(end).encode()).decode()},
        }

    def _node(self, order):
        if order["id"] in self.failing:
            return GraphQLError(f"order {order['id']} is broken")
        return order

    def flaky(self, info, id):
        raise GraphQLError(f"there is no order {id} for key s3cret-value", extensions={"code": "NOT_FOUND"})

    def shop(self, info):
        return {"orders": ORDERS[:2], "name": "corner"}

    def answer(self, request):
        payload = request.get_json(silent=True) if request.method == "POST" else dict(request.args)
        if request.method == "GET" and "variables" in payload:
            payload["variables"] = json.loads(payload["variables"])
        self.asked.append((request, payload))
        if self.before:
            return self.before.pop(0)
        result = graphql_sync(
            self.schema,
            payload["query"],
            root_value=self,
            variable_values=payload.get("variables"),
            operation_name=payload.get("operationName"),
        )
        return answer(result.formatted)


def answer(body, status=200, **headers):
    return Response(json.dumps(body), status=status, content_type="application/json", headers=headers)


class TapShop(Tap):
    name = "tap-shop"

    def discover_streams(self):
        return []


@pytest.fixture(scope="module")
def _server():
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def shop(_server):
    _server.clear()
    shop = Shop()
    _server.expect_request("/graphql").respond_with_handler(shop.answer)
    return shop


@pytest.fixture
def base(_server, shop):
    """A stream class that asks the server and does not wait between tries."""

    class Base(GraphQLStream):
        url_base = f"http://127.0.0.1:{_server.port}/graphql"
        primary_keys = ("id",)
        schema = th.PropertiesList(th.Property("id", th.StringType), th.Property("total", th.NumberType)).to_dict()

        def backoff_wait_generator(self):
            return backoff.constant(0)

        def backoff_jitter(self, value):
            return value

    return Base


@pytest.fixture
def orders(base):
    class Orders(base):
        name = "orders"
        query = CONNECTION
        records_jsonpath = "$.data.orders.edges[*].node"
        paginator = RelayPaginator("$.data.orders.pageInfo", page_size=5)

    return Orders


def ids(stream, context=None):
    return [record["id"] for record in stream.get_records(context)]


ALL = [order["id"] for order in ORDERS]


# Asking


def test_relay_pages_until_the_server_says_that_there_are_no_more(shop, orders):
    assert ids(orders(TapShop())) == ALL
    assert [payload["variables"] for _, payload in shop.asked] == [
        {"first": 5},
        {"first": 5, "after": "NQ=="},
        {"first": 5, "after": "MTA="},
    ]
    request = shop.asked[0][0]
    assert request.method == "POST"
    assert request.query_string == b"", "variables are in the body, and not in the URL"
    assert "application/graphql-response+json" in request.headers["Accept"]


def test_variables_of_the_stream_of_the_context_and_of_the_page(shop, orders):
    class Customer(orders):
        variables = SHIPPED

    assert ids(Customer(TapShop()), {"customer": "1", "region": "north"}) == ["1", "5", "7", "11"]
    assert shop.asked[0][1]["variables"] == {"status": ["SHIPPED"], "first": 5, "customer": "1"}


def test_variables_from_hooks_in_their_known_shapes(shop, orders):
    class Hooked(orders):
        def get_url_params(self, context, next_page_token):
            return {"first": 100, "status": [self.config["status"]]}

    class Payload(Hooked):
        def prepare_request_payload(self, context, next_page_token):
            return {**super().prepare_request_payload(context, next_page_token), "extensions": {"trace": True}}

    tap = TapShop(config={"status": "OPEN"}, validate_config=False)
    assert ids(Hooked(tap)) == ids(Payload(tap)) == ["3", "6", "9", "12"]
    assert shop.asked[-1][1]["extensions"] == {"trace": True}


def test_a_bare_selection_and_the_usual_place_of_records(shop, base):
    class Bare(base):
        name = "orders"
        query = "shop { orders { id } }"
        records_jsonpath = "$.data.shop.orders[*]"

    class Usual(base):
        name = "shop"
        query = "{ shop { id: name } }"

    assert ids(Bare(TapShop())) == ["1", "2"]
    assert ids(Usual(TapShop())) == ["corner"]
    assert Usual(TapShop()).records_jsonpath == "$.data.shop[*]"


def test_a_query_from_a_file_with_several_operations(shop, base, tmp_path):
    (tmp_path / "q.graphql").write_text(CONNECTION + "query Other { shop { name } }", encoding="utf-8")

    class FromFile(base):
        name = "shop"
        query_filepath = tmp_path / "q.graphql"
        operation_name = "Other"
        records_jsonpath = "$.data.shop"
        variables = ONE

    assert list(FromFile(TapShop()).get_records(None)) == [{"name": "corner"}]
    missing = type("Missing", (FromFile,), {"query_filepath": str(tmp_path / "nope.graphql")})
    with pytest.raises(ConfigurationError, match=r"can't read the query file '.*nope.graphql': No such file"):
        list(missing(TapShop()).get_records(None))
    with pytest.raises(ConfigurationError, match="Bare has no query"):
        list(type("Bare", (base,), {"name": "bare"})(TapShop()).get_records(None))


def test_a_query_in_the_url(shop, orders):
    class Cached(orders):
        rest_method = "GET"

    assert ids(Cached(TapShop())) == ALL
    assert [request.method for request, _ in shop.asked] == ["GET"] * 3
    assert shop.asked[1][1]["variables"] == {"first": 5, "after": "NQ=="}
    assert shop.asked[0][0].get_data() == b""


def test_a_child_stream_reads_with_its_parents_context(shop, base, capfd):
    class Customers(Stream):
        name = "customers"
        primary_keys = ("customer",)
        schema = th.PropertiesList(th.Property("customer", th.StringType)).to_dict()

        def get_records(self, context):
            yield from ({"customer": key} for key in "01")

        def get_child_context(self, record, context):
            return {"customer": record["customer"]}

    class Orders(base):
        name = "orders"
        parent_stream_type = Customers
        query = CONNECTION
        records_jsonpath = "$.data.orders.edges[*].node"
        paginator = RelayPaginator("$.data.orders.pageInfo", page_size=4)

    class TapFamily(TapShop):
        def discover_streams(self):
            return [Customers(self), Orders(self)]

    TapFamily().sync_all()
    messages = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    found = [
        message["record"]["id"] for message in messages if message.get("stream") == "orders" and "record" in message
    ]
    assert sorted(found, key=int) == ALL


# Errors


def test_errors_in_a_200_are_an_error_that_says_where(shop, base):
    class Flaky(base):
        name = "flaky"
        query = "query ($key: ID!) {\n  flaky(id: $key) { id }\n}"
        variables = SECRET

    with pytest.raises(FatalAPIError) as caught:
        list(Flaky(TapShop()).get_records(None))
    assert str(caught.value) == (
        "the GraphQL API answered with an error: “there is no order … for key …” at flaky "
        "(line 2, column 3 of the query)"
    )
    assert len(shop.asked) == 1, "trying again does not help"


def test_what_the_server_says_of_a_wrong_query(shop, base):
    class Wrong(base):
        name = "orders"
        query = "query { orders(first: 1) { nope } shop { neither } }"

    with pytest.raises(FatalAPIError, match=r"answered with 2 errors: “Cannot query field 'nope' .*line 1, column 28"):
        list(Wrong(TapShop()).get_records(None))


def test_partial_data_is_an_error_unless_accepted(shop, orders, caplog):
    class Accepting(orders):
        accept_partial_data = True

    shop.failing = {"2", "7"}
    with pytest.raises(FatalAPIError, match=r"order 2 is broken” at orders\.edges\.1\.node"):
        ids(orders(TapShop()))
    with caplog.at_level(logging.WARNING):
        assert ids(Accepting(TapShop())) == [one for one in ALL if one not in shop.failing]
    warnings = [record.getMessage() for record in caplog.records if record.name == "tap-shop.orders"]
    assert [warning.count("is broken") for warning in warnings] == [1, 1]


def test_no_data_at_all_is_an_error_even_where_a_part_would_do(shop, orders):
    class Accepting(orders):
        accept_partial_data = True

    shop.before = [answer({"errors": [{"message": "down"}], "data": None})]
    with pytest.raises(FatalAPIError, match="“down”"):
        ids(Accepting(TapShop()))


def test_an_answer_without_the_place_for_records_is_no_end(shop, orders):
    shop.before = [answer({"data": {"orders": None}})]
    with pytest.raises(FatalAPIError, match=r"nothing at \$\.data\.orders"):
        ids(orders(TapShop()))


@pytest.mark.parametrize(
    "throttled",
    [
        answer({"errors": [{"message": "slow", "extensions": {"code": "THROTTLED"}}]}),
        answer({"errors": [{"message": "slow", "type": "RATE_LIMITED"}]}),
        answer({"errors": [{"message": "slow", "extensions": {"code": "ratelimited"}}]}, status=400),
        answer({"errors": [{"message": "oops"}]}, status=503),
        answer("<html>", status=502),
    ],
)
def test_what_passes_is_asked_again_though_it_is_a_post(shop, orders, throttled):
    shop.before = [throttled, throttled]
    assert ids(orders(TapShop())) == ALL
    assert len(shop.asked) == 5


def test_codes_of_ones_own_and_a_policy_of_ones_own(shop, orders):
    class Busy(orders):
        retry_error_codes = frozenset({"BUSY"})
        retry = RetryPolicy(max_tries=2)

    busy = answer({"errors": [{"message": "busy", "extensions": {"code": "BUSY"}}]})
    shop.before = [busy]
    assert ids(Busy(TapShop())) == ALL
    shop.before = [busy] * 2
    with pytest.raises(RetriableAPIError, match=r"“busy”.*gave up after 2 tries"):
        ids(Busy(TapShop()))


def test_the_pause_that_a_cost_budget_needs_is_kept(shop, orders):
    waits = []

    class Throttled(orders):
        def backoff_handler(self, details):
            waits.append(details["wait"])

    cost = {"requestedQueryCost": 12, "throttleStatus": {"currentlyAvailable": 2, "restoreRate": 1000}}
    errors = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
    shop.before = [answer({"errors": errors, "extensions": {"cost": cost}})]
    assert ids(Throttled(TapShop())) == ALL
    assert waits == [pytest.approx(0.01)]


def test_a_mutation_is_not_sent_twice(shop, base):
    class Export(base):
        name = "export"
        query = "mutation { startExport { id } }"

    shop.before = [answer({}, status=503)]
    with pytest.raises(RetriableAPIError):
        list(Export(TapShop()).get_records(None))
    assert len(shop.asked) == 1


def test_refused_credentials(shop, orders):
    shop.before = [answer({"errors": [{"message": "who?", "extensions": {"code": "UNAUTHENTICATED"}}], "data": None})]
    with pytest.raises(AuthenticationError, match="“who\\?”"):
        ids(orders(TapShop()))


def test_an_error_status_says_what_the_body_says(shop, orders):
    shop.before = [
        answer({"errors": [{"message": "Variable $first is missing", "locations": [{"line": 1}]}]}, status=400)
    ]
    with pytest.raises(FatalAPIError, match=r"400 Client Error: Bad Request .*“Variable \$first is missing”"):
        ids(orders(TapShop()))


@pytest.mark.parametrize("errors", ["text", [None, 5], {"message": "alone"}, [{"message": None, "path": 5}]])
def test_errors_in_no_known_shape_are_errors_too(shop, orders, errors):
    shop.before = [answer({"data": {"orders": None}, "errors": errors})]
    with pytest.raises(FatalAPIError, match="answered with"):
        ids(orders(TapShop()))


def test_paging_without_page_info_says_what_to_ask_for(shop, orders):
    class Forgot(orders):
        query = CONNECTION.replace("pageInfo { hasNextPage endCursor }", "")

    with pytest.raises(FatalAPIError, match="pageInfo"):
        ids(Forgot(TapShop()))


def test_a_server_that_repeats_its_cursor_ends_with_an_error(shop, orders):
    page = {"edges": [{"node": ORDERS[0]}], "pageInfo": {"hasNextPage": True, "endCursor": "same"}}
    shop.before = [answer({"data": {"orders": page}}) for _ in range(5)]
    with pytest.raises(FatalAPIError, match="Loop detected"):
        ids(orders(TapShop()))
    assert len(shop.asked) == 2


# Documents


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("orders { id }", "query { orders { id }\n}"),
        ("  # note {\n orders { id } # more", "query { orders { id } # more\n}"),
        ("queryResults { id }", "query { queryResults { id }\n}"),
        ("{ a }", "{ a }"),
        (" query($a: Int) { a }", "query($a: Int) { a }"),
        ("fragment F on T { a } query { ...F }", "fragment F on T { a } query { ...F }"),
        ("\ufeffmutation M { a }\n", "mutation M { a }"),
        ("query: search { id }", "query { query: search { id }\n}"),
    ],
)
def test_a_selection_becomes_a_document(query, document):
    assert as_document(query) == document


def test_declared_variables_are_those_of_the_operation():
    assert declared_variables("query ($a: Int, $b : [ID!]! = []) { f(a: $a, x: $c) }") == {"a", "b"}


def test_mutations_are_told_from_queries():
    assert is_mutation("mutation { a }")
    assert is_mutation("fragment F on T { a } mutation M { a }")
    assert not is_mutation("query { mutation { id } }")


def test_messages_hide_what_was_asked_with_and_stay_short():
    errors = [{"message": f"bad s3cret and\n42 {'x' * 500}", "path": ["a", 0]}] * 5
    text = describe_errors(errors, {"input": {"key": "s3cret", "n": [42], "flag": True, "none": None}})
    assert "s3cret" not in text
    assert "42" not in text
    assert "\n" not in text
    assert text.endswith("and 2 more")
    assert len(text) < 1000
