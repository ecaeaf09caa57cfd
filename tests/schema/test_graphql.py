from __future__ import annotations

import json
import sys

import jsonschema
import pytest
from graphql import build_schema, graphql_sync, introspection_from_schema

from singerkit import GraphQLStream, StreamSchema, Tap
from singerkit.errors import DiscoveryError, MissingExtraError
from singerkit.schema.graphql import GraphQLTypes
from singerkit.schema.refs import check_schema
from singerkit.streams.graphql import QuerySchema

SDL = '''
"""An amount, as text."""
scalar Money
scalar DateTime
scalar Blob
enum Status { OPEN PAID }
interface Party { id: ID! name: String }
type Person implements Party { id: ID! name: String age: Int! }
type Company implements Party { id: ID! name: String vat: String! staff(first: Int): [Person!]! }
type Order {
  id: ID! status: Status! at: DateTime! total: Money lines: [Line!]! tags: [String] payer: Party blob: Blob
  rating: Float paid: Boolean! parent: Order
}
type Line { sku: String! count: Int }
type Orders { edges: [Edge!]! }
type Edge { node: Order! }
type Query { orders(first: Int): Orders! order(id: ID!): Order }
'''
QUERY = """
query First($n: Int) {
  orders(first: $n) {
    edges {
      node {
        ...Basics
        number: id
        lines { sku count }
        parent { id lines { count } }
        payer { __typename name ... on Person { age } ... on Company { vat staff { name } } }
        paid @include(if: true)
      }
    }
  }
}
query Second { order(id: 1) { id } }
fragment Basics on Order { id status at total tags blob rating }
"""
PATH = "$.data.orders.edges[*].node"
RECORDS = [
    {
        "id": 1,
        "status": "OPEN",
        "at": "2024-01-01T00:00:00Z",
        "total": "1.50",
        "tags": ["a", None],
        "blob": {"any": [1]},
        "rating": 0.5,
        "paid": True,
        "lines": [{"sku": "x", "count": 1}, {"sku": "y", "count": None}],
        "parent": {"id": 2, "lines": []},
        "payer": {"__typename": "Company", "name": "Inc", "vat": "v", "staff": [{"name": "Ann"}]},
    },
    {
        "id": 3,
        "status": "PAID",
        "at": "2024-01-01T00:00:00Z",
        "lines": [],
        "paid": False,
        "payer": {"__typename": "Person", "name": None, "age": 7},
    },
]


@pytest.fixture(params=["sdl", "introspection", "dict"])
def types(request, tmp_path):
    money = {"Money": {"type": "string", "format": "singer.decimal"}}
    introspection = introspection_from_schema(build_schema(SDL))
    if request.param == "dict":
        return GraphQLTypes({"data": introspection}, scalars=money)
    file = tmp_path / ("schema.graphql" if request.param == "sdl" else "schema.json")
    file.write_text(SDL if request.param == "sdl" else json.dumps(introspection), encoding="utf-8")
    return GraphQLTypes(file, scalars=money)


def test_a_query_tells_the_schema_of_its_records(types):
    schema = types.schema_of_query(QUERY, PATH, "First")
    check_schema(schema)
    assert schema["properties"] == {
        "id": {"type": "string"},
        "status": {"type": "string", "examples": ["OPEN", "PAID"]},
        "at": {"type": "string", "format": "date-time"},
        "total": {"type": ["string", "null"], "format": "singer.decimal"},
        "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "blob": {},
        "rating": {"type": ["number", "null"]},
        "number": {"type": "string"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "count": {"type": ["integer", "null"]}},
            },
        },
        "parent": {
            "type": ["object", "null"],
            "properties": {
                "id": {"type": "string"},
                "lines": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"count": {"type": ["integer", "null"]}}},
                },
            },
        },
        "payer": {
            "type": ["object", "null"],
            "properties": {
                "__typename": {"type": "string"},
                "name": {"type": ["string", "null"]},
                "age": {"type": ["integer", "null"]},
                "vat": {"type": ["string", "null"]},
                "staff": {
                    "type": ["array", "null"],
                    "items": {"type": "object", "properties": {"name": {"type": ["string", "null"]}}},
                },
            },
        },
        "paid": {"type": ["boolean", "null"]},
    }


def test_what_a_server_answers_fits(types):
    schema = build_schema(SDL)
    root = {"orders": {"edges": [{"node": record} for record in RECORDS]}}
    done = graphql_sync(schema, QUERY, root, operation_name="First")
    assert done.errors is None
    inferred = types.schema_of_query(QUERY, PATH, "First")
    assert inferred["properties"].keys() == done.data["orders"]["edges"][0]["node"].keys()
    for edge in done.data["orders"]["edges"]:
        jsonschema.validate(edge["node"], inferred)


def test_a_type_has_the_fields_that_need_no_selection(types):
    properties = types.get_schema("Order")["properties"]
    assert list(properties) == ["id", "status", "at", "total", "tags", "blob", "rating", "paid"]
    assert types.get_schema("Party")["properties"].keys() == {"id", "name"}


def test_a_stream_takes_its_schema_from_its_query(types):
    class Orders(GraphQLStream):
        name = "orders"
        query = QUERY
        operation_name = "First"
        records_jsonpath = PATH
        schema = QuerySchema(types)

    class Lines(GraphQLStream):
        name = "lines"
        query = "orders { edges { node { lines { sku } } } }"
        records_jsonpath = "$.data.orders.edges[*].node.lines[*]"
        schema = QuerySchema(types)

    class People(GraphQLStream):
        name = "Person"
        schema = StreamSchema(types)

    class Wrong(Orders):
        query = "orders { nope }"

    class TapX(Tap):
        name = "tap-x"

        def discover_streams(self):
            return []

    tap = TapX()
    assert Orders(tap).schema == types.schema_of_query(QUERY, PATH, "First")
    assert Lines(tap).schema == {"type": "object", "properties": {"sku": {"type": "string"}}}
    assert People(tap).schema["properties"]["age"] == {"type": "integer"}
    with pytest.raises(DiscoveryError, match="Cannot query field 'nope'") as caught:
        _ = Wrong(tap).schema
    assert caught.value.stream == "orders"
    assert not hasattr(Orders, "schema")


@pytest.mark.parametrize(
    ("query", "path", "message"),
    [
        ("{ orders {", PATH, "does not fit the types .*Syntax Error"),
        ("{ orders { edges { node { id } } } }", "$.data.nope", "does not select 'nope'"),
        ("{ orders { edges { node { id } } } }", "$..node", "can't tell which part of the query"),
        (QUERY, PATH, "name one of its operations"),
    ],
)
def test_a_query_or_path_that_does_not_fit(types, query, path, message):
    with pytest.raises(DiscoveryError, match=message):
        types.schema_of_query(query, path)


def test_documents_that_hold_no_types(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.graphql").write_text("type {")
    (tmp_path / "c.graphql").write_text("type Query { a: Nope }")
    for name, message in (
        ("a.json", r"a\.json' holds no GraphQL types"),
        ("b.graphql", r"b\.graphql' is no valid GraphQL schema: Syntax Error"),
        ("c.graphql", r"c\.graphql' holds no GraphQL types.*Nope"),
        ("d.graphql", r"d\.graphql': No such file"),
    ):
        with pytest.raises(DiscoveryError, match=message):
            GraphQLTypes(tmp_path / name).get_schema("Order")
    with pytest.raises(DiscoveryError, match="has no object type 'Status'"):
        GraphQLTypes({"__schema": introspection_from_schema(build_schema(SDL))["__schema"]}).get_schema("Status")


def test_without_graphql_core_the_extra_is_named(monkeypatch, tmp_path):
    (tmp_path / "a.graphql").write_text(SDL)
    types = GraphQLTypes(tmp_path / "a.graphql")
    monkeypatch.setitem(sys.modules, "graphql", None)
    with pytest.raises(MissingExtraError, match=r"singerkit\[graphql\]"):
        types.get_schema("Order")
    with pytest.raises(MissingExtraError, match=r"singerkit\[graphql\]"):
        types.schema_of_query(QUERY, PATH)
