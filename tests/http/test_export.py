from __future__ import annotations

import json

import pytest
from werkzeug import Response

from singerkit import RESTStream, Tap
from singerkit import typing as th
from singerkit.errors import ConfigurationError, FatalAPIError, RetryBudgetError
from singerkit.http.auth import BearerTokenAuthenticator
from singerkit.http.bodies import CSVFormat
from singerkit.http.export import ExportJob

SECRET = "s3cret-token"
STATES = [{"status": "queued"}, {"status": "running"}, {"status": "done", "files": ["/files/1", "/files/2"]}]
FILES = {"/files/1": "id,name\n1,a\n2,b\n", "/files/2": "id,name\n3,c\n"}


class TapNothing(Tap):
    name = "tap-nothing"
    config_jsonschema: dict = {}  # noqa: RUF012

    def discover_streams(self):
        return []


class Server:
    """Makes an export of two files; the job takes a while."""

    def __init__(self, api, states=STATES, **started) -> None:
        self.states = list(states)
        self.requests: list = []
        self.started = {"id": "job/7", **started}
        self.headers: dict[str, str] = {}
        for path in ("/exports", "/exports/job/7", "/exports/job%2F7", "/jobs/9", *FILES):
            api.expect_request(path).respond_with_handler(self.handle)

    def handle(self, request):
        self.requests.append(request)
        if request.method == "POST":
            return Response(json.dumps(self.started), 202, headers=self.headers)
        if request.path in FILES:
            return Response(FILES[request.path])
        return Response(json.dumps(self.states.pop(0)))

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.path) for request in self.requests]


@pytest.fixture
def reports(api):
    class Reports(RESTStream):
        name = "reports"
        path, rest_method = "/exports", "POST"
        url_base = f"http://127.0.0.1:{api.port}"
        primary_keys = ("id",)
        auth = BearerTokenAuthenticator(token=SECRET)
        body_format = CSVFormat()
        schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("name", th.StringType)).to_dict()

        def prepare_request_payload(self, context, next_page_token):
            return {"report": "things"}

    return Reports


def job(**declared) -> tuple[ExportJob, list[float]]:
    pauses: list[float] = []
    return ExportJob(**{"files_jsonpath": "$.files[*]", "poll_s": 2, **declared, "pause": pauses.append}), pauses


def ids(stream_class) -> list[int]:
    return [record["id"] for record in stream_class(TapNothing()).get_records(None)]


def test_a_job_is_started_awaited_and_its_files_are_read(api, reports):
    server = Server(api)
    reports.export, pauses = job(status_path="/exports/{id}")
    assert ids(reports) == [1, 2, 3]
    assert server.asked[0] == ("POST", "/exports")
    assert server.requests[0].get_json() == {"report": "things"}
    assert [path for _, path in server.asked[1:]] == ["/exports/job/7"] * 3 + ["/files/1", "/files/2"]
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {SECRET}"}
    assert pauses == [2, 2, 2]


@pytest.mark.parametrize("where", ["header", "body"])
def test_the_answer_says_where_to_ask(api, reports, where):
    server = Server(api, links={"status": "/jobs/9"})
    if where == "header":
        server.headers = {"Location": api.url_for("/jobs/9").replace("localhost", "127.0.0.1"), "Retry-After": "7"}
    reports.export, pauses = job(**({} if where == "header" else {"status_jsonpath": "$.links.status"}))
    assert ids(reports) == [1, 2, 3]
    assert server.asked[1] == ("GET", "/jobs/9")
    assert pauses[0] == (7 if where == "header" else 2)


def test_the_file_may_have_a_path_of_its_own(api, reports):
    server = Server(api, states=[{"state": {"name": "ok"}, "number": 2}])
    reports.export, _ = job(
        status_path="/exports/{id}",
        state_jsonpath="$.state.name",
        done=("ok",),
        files_jsonpath=None,
        files_path="/files/{number}",
    )
    assert ids(reports) == [3]
    assert server.asked[-1] == ("GET", "/files/2")


def test_files_elsewhere_get_no_credentials(api, elsewhere, reports):
    there: list = []
    elsewhere.expect_request("/f").respond_with_handler(lambda request: there.append(request) or Response("id\n5\n"))
    url = elsewhere.url_for("/f?signature=abc")
    server = Server(api, states=[{"status": "done", "files": [url]}] * 2)
    reports.export, _ = job(status_path="/exports/{id}")
    with pytest.raises(FatalAPIError, match="which is not an origin of this stream"):
        ids(reports)
    assert there == []
    reports.export, _ = job(status_path="/exports/{id}", file_origins=[elsewhere.url_for("/")])
    assert ids(reports) == [5]
    assert there[0].query_string == b"signature=abc"
    assert SECRET not in str(there[0].headers)
    assert server.states == []


def test_a_file_that_breaks_off_is_downloaded_again(api, reports):
    class Stream(reports):
        def backoff_wait_generator(self):
            yield None
            yield 0

        def backoff_jitter(self, value):
            return 0.0

    answers = ["", "id,name\n1,a\n"]
    Server(api, states=[{"status": "done", "files": ["/cut"]}])
    api.expect_request("/cut").respond_with_handler(lambda request: Response(answers.pop(0)))
    Stream.export, _ = job(status_path="/exports/{id}")
    assert ids(Stream) == [1]


@pytest.mark.parametrize(
    ("states", "what"),
    [
        ([{"status": "failed", "message": SECRET}], "the export ended as 'failed'"),
        ([{"state": "done"}], r"nothing at \$.status"),
        ([{"status": "done"}], r"no URLs at \$.files\[\*\]"),
        ([{"status": "done", "files": [{"url": "/x"}]}], r"no URLs at \$.files\[\*\]"),
    ],
)
def test_an_export_that_goes_wrong(api, reports, states, what):
    Server(api, states=states)
    reports.export, _ = job(status_path="/exports/{id}")
    with pytest.raises(FatalAPIError, match=what) as caught:
        ids(reports)
    assert SECRET not in str(caught.value)


def test_nobody_says_where_to_ask(api, reports):
    Server(api)
    reports.export, _ = job()
    with pytest.raises(FatalAPIError, match="does not say where to ask about it"):
        ids(reports)


def test_an_export_that_takes_too_long(api, reports):
    Server(api, states=[{"status": "queued"}] * 9)
    reports.export, pauses = job(status_path="/exports/{id}", total_s=0.001, poll_s=0)
    with pytest.raises(RetryBudgetError, match=r"has not finished after 0 s") as caught:
        ids(reports)
    assert caught.value.exit_code == 5
    assert len(pauses) < 9


def test_no_files_are_no_records(api, reports):
    Server(api, states=[{"status": "done", "files": []}])
    reports.export, _ = job(status_path="/exports/{id}")
    assert ids(reports) == []


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"files_path": "/a", "files_jsonpath": "$.b"},
        {"files_path": "/a", "status_path": "/", "status_jsonpath": "$"},
    ],
)
def test_what_is_no_declaration(declared):
    with pytest.raises(ConfigurationError, match="ExportJob"):
        ExportJob(**declared)
