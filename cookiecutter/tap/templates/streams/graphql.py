{% from "auth.jinja" import auth, authenticator with context %}
{% set paged = cookiecutter.__paging != "none" %}
"""The streams of the API."""

from singerkit import {{ ["Incremental", "GraphQLStream", authenticator, "RelayPaginator" if paged] | select | sort | join(", ") }}
from singerkit import typing as th


class API(GraphQLStream[object]):
    """What all streams have in common: where the API is, and how requests are signed."""

    url_base = "{api_url}/graphql"
{{ auth() }}

class Customers(API):
    """Read in full each time, since the API can't say which have changed."""

    name = "customers"
    primary_keys = ("id",)
{% if paged %}
    query = """
        query Customers($first: Int, $after: String) {
          customers(first: $first, after: $after) {
            nodes { id name email createdAt }
            pageInfo { hasNextPage endCursor }
          }
        }
    """
    records_jsonpath = "$.data.customers.nodes[*]"
    paginator = RelayPaginator("$.data.customers.pageInfo", page_size=100)
{% else %}
    query = "query Customers { customers { id name email createdAt } }"
{% endif %}
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("name", th.StringType),
        th.Property("email", th.EmailType),
        th.Property("createdAt", th.DateTimeType),
    ).to_dict()


class Orders(API):
    """Asked for from the bookmark on: a second run reads only what has changed since the first."""

    name = "orders"
    primary_keys = ("id",)
    replication_key = "updatedAt"
    incremental = Incremental(param="updatedSince")
    query = """
{% if paged %}
        query Orders($first: Int, $after: String, $updatedSince: DateTime) {
          orders(first: $first, after: $after, updatedSince: $updatedSince) {
            nodes { id customerId status total updatedAt }
            pageInfo { hasNextPage endCursor }
          }
        }
    """
    records_jsonpath = "$.data.orders.nodes[*]"
    paginator = RelayPaginator("$.data.orders.pageInfo", page_size=100)
{% else %}
        query Orders($updatedSince: DateTime) {
          orders(updatedSince: $updatedSince) { id customerId status total updatedAt }
        }
    """
{% endif %}
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("customerId", th.IntegerType),
        th.Property("status", th.StringType),
        th.Property("total", th.NumberType),
        th.Property("updatedAt", th.DateTimeType, required=True),
    ).to_dict()
