{% from "auth.jinja" import auth, authenticator with context %}
{% set paginators = {
  "none": ("", ""),
  "page": ("PageNumberPaginator", '1, param="page", page_size=100, size_param="limit", total_pages_at="$.meta.pages"'),
  "offset": ("OffsetPaginator", '0, 100, param="offset", size_param="limit", total_records_at="$.meta.total"'),
  "cursor": ("JSONPathPaginator", '"$.meta.next_cursor", param="cursor", page_size=100, size_param="limit"'),
  "link": ("HeaderLinkPaginator", 'page_size=100, size_param="limit"'),
  "next-url": ("NextURLPaginator", '"$.links.next", page_size=100, size_param="limit"'),
  "keyset": ("KeysetPaginator", '"id", param="after", page_size=100, size_param="limit", more_at="$.meta.more"'),
} %}
{% set paginator, pages = paginators[cookiecutter.__paging] %}
"""The streams of the API."""

from singerkit import {{ ["Incremental", "RESTStream", authenticator, paginator] | select | sort | join(", ") }}
from singerkit import typing as th


class API(RESTStream[object]):
    """What all streams have in common: where the API is, how requests are signed, where records and pages are."""

    url_base = "{api_url}"
{{ auth() -}}
{% if paginator %}
    paginator = {{ paginator }}({{ pages }})
{% endif %}
    records_jsonpath = "$.data[*]"


class Customers(API):
    """Read in full each time, since the API can't say which have changed."""

    name = "customers"
    path = "/customers"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("name", th.StringType),
        th.Property("email", th.EmailType),
        th.Property("created_at", th.DateTimeType),
    ).to_dict()


class Orders(API):
    """Asked for from the bookmark on: a second run reads only what has changed since the first."""

    name = "orders"
    path = "/orders"
    primary_keys = ("id",)
    replication_key = "updated_at"
    incremental = Incremental(param="updated_since")
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("customer_id", th.IntegerType),
        th.Property("status", th.StringType),
        th.Property("total", th.NumberType),
        th.Property("updated_at", th.DateTimeType, required=True),
    ).to_dict()
