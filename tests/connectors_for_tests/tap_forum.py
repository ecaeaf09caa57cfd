"""A tap over an HTTP API: groups > topics > posts, and groups > members; run as a script it is the command."""

from __future__ import annotations

from typing import Any

from singerkit import Incremental, RESTStream, Tap
from singerkit import typing as th
from singerkit.http.retry import RetryPolicy


class ForumStream(RESTStream):
    """What the streams share."""

    url_base = "{url}"
    records_jsonpath = "$.data[*]"
    primary_keys = ("id",)
    retry = RetryPolicy(max_tries=1)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("at", th.DateTimeType),
        th.Property("group", th.IntegerType),
        th.Property("topic", th.IntegerType),
    ).to_dict()


class Groups(ForumStream):
    """Parents; incremental, unless a child needs all of them."""

    name, path, replication_key, is_sorted = "groups", "/groups", "at", True
    incremental = Incremental(param="since")

    def get_child_context(self, record: Any, context: Any) -> Any:
        """Name the group."""
        return {"group": record["id"]}


class Topics(ForumStream):
    """Children with a bookmark a group, and parents."""

    name, path, replication_key, parent_stream_type = "topics", "/groups/{group}/topics", "at", Groups
    incremental = Incremental(param="since")
    is_sorted = True
    skip_missing_parents = True

    def get_child_context(self, record: Any, context: Any) -> Any:
        """Name the topic."""
        return {"topic": record["id"]}


class Members(ForumStream):
    """Other children of the same parents."""

    name, path, parent_stream_type = "members", "/groups/{group}/members", Groups


class Posts(ForumStream):
    """Grandchildren."""

    name, path, parent_stream_type = "posts", "/topics/{topic}/posts", Topics


class Tags(ForumStream):
    """A stream of its own."""

    name, path = "tags", "/tags"


class TapForum(Tap):
    """A tap for tests."""

    name = "tap-forum"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("ignore_parent", th.BooleanType, default=False),
    ).to_dict()

    def discover_streams(self) -> Any:
        """Give all five."""
        topics = Topics(self)
        topics.ignore_parent_replication_key = self.config["ignore_parent"]
        return [Groups(self), topics, Members(self), Posts(self), Tags(self)]


if __name__ == "__main__":
    TapForum.cli()
