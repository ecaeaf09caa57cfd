"""A tap of an API with a token endpoint, pages, parents and children: for recordings and previews."""

import backoff

from singerkit import RESTStream, RetryPolicy, Tap
from singerkit import typing as th
from singerkit.http.auth import OAuthAuthenticator
from singerkit.http.paginate import JSONPathPaginator


class LedgerStream(RESTStream):
    records_jsonpath = "$.data[*]"
    url_base = "{api_url}"
    primary_keys = ("id",)
    retry = RetryPolicy(max_tries=2)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("note", th.StringType),
        th.Property("amount", th.DecimalType),
        th.Property("tags", th.ArrayType(th.StringType)),
        th.Property("account", th.IntegerType),
        th.Property("changed_at", th.DateTimeType),
    ).to_dict()

    def backoff_wait_generator(self):
        return backoff.constant(0.01)

    @property
    def authenticator(self):
        return self._tap.authenticator


class Accounts(LedgerStream):
    name, path = "accounts", "/accounts"
    paginator = JSONPathPaginator("$.next", param="page_token")

    def get_child_context(self, record, context):
        return {"account": record["id"]}


class Entries(LedgerStream):
    name, path = "entries", "/accounts/{account}/entries"
    parent_stream_type = Accounts
    replication_key = "changed_at"
    paginator = JSONPathPaginator("$.next", param="page_token")

    def get_url_params(self, context, next_page_token):
        since = self.get_starting_replication_key_value(context)
        return {"page_token": next_page_token, "since": since, "request_id": self._tap.request_id}


class TapLedger(Tap):
    """Accounts and their entries."""

    name = "tap-ledger"
    recording_ignores = ("request_id",)
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("client_id", th.StringType, required=True),
        th.Property("client_secret", th.StringType, required=True, secret=True),
        th.Property("start_date", th.DateTimeType),
    ).to_dict()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.request_id = str(self.initialized_at)
        self.authenticator = OAuthAuthenticator(
            auth_endpoint=f"{self.config['api_url']}/oauth/token",
            client_id=self.config["client_id"],
            client_secret=self.config["client_secret"],
        )

    def discover_streams(self):
        return [Accounts(self), Entries(self)]


if __name__ == "__main__":
    TapLedger.cli()
