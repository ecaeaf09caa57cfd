"""Answers of other kinds, and larger ones, through a whole stream and a real server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import zlib

import backoff
import pytest
from werkzeug import Response

from singerkit import RESTStream, Tap
from singerkit import typing as th
from singerkit.errors import FatalAPIError, RetriableAPIError
from singerkit.http.bodies import CSVFormat, JSONArrayFormat, JSONLinesFormat, XMLFormat
from singerkit.http.paginate import OffsetPaginator, PageNumberPaginator


class TapNothing(Tap):
    name = "tap-nothing"
    config_jsonschema: dict = {}  # noqa: RUF012

    def discover_streams(self):
        return []


@pytest.fixture
def things(api):
    class Things(RESTStream):
        name = "things"
        path = "/things"
        url_base = f"http://127.0.0.1:{api.port}"
        primary_keys = ("id",)
        schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("name", th.StringType)).to_dict()

        def backoff_wait_generator(self):
            return backoff.constant(0)

        def backoff_jitter(self, value):
            return 0.0

    return Things


def read(stream_class) -> list[dict]:
    return list(stream_class(TapNothing()).get_records(None))


RECORDS = [{"id": number, "name": f"n{number}"} for number in range(1, 4)]
BODIES = {
    "array": (JSONArrayFormat(), json.dumps({"data": RECORDS}).encode(), "$.data[*]"),
    "lines": (JSONLinesFormat(), b"".join(json.dumps(r).encode() + b"\n" for r in RECORDS), "$[*]"),
    "csv": (CSVFormat(), b"id,name\r\n1,n1\r\n2,n2\r\n3,n3\r\n", "$[*]"),
    "xml": (
        XMLFormat("a/b"),
        b"<a>%s</a>" % b"".join(b"<b><id>%d</id><name>n%d</name></b>" % (n, n) for n in (1, 2, 3)),
        "",
    ),
}


@pytest.mark.parametrize("encode", [None, "gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("kind", BODIES)
def test_every_format_through_a_stream(api, things, kind, encode):
    body_format, body, path = BODIES[kind]
    things.body_format, things.records_jsonpath = body_format, path
    encoded = {
        None: lambda data: data,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw deflate": lambda data: zlib.compress(data, wbits=-15),
    }[encode](body)
    headers = {"Content-Encoding": encode.split()[-1]} if encode else {}
    api.expect_request("/things").respond_with_data(encoded, headers=headers)
    assert read(things) == RECORDS


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_cut_short_is_asked_for_again(api, things, kind):
    body_format, body, path = BODIES[kind]
    things.body_format, things.records_jsonpath = body_format, path
    whole = gzip.compress(body)
    answers = [whole[:-12], whole[:40], b"", gzip.compress(b"<html><p>no"), whole]
    seen: list = []

    def handle(request):
        seen.append(request)
        return Response(answers[len(seen) - 1], headers={"Content-Encoding": "gzip"})

    api.expect_request("/things").respond_with_handler(handle)
    assert read(things) == RECORDS
    assert len(seen) == 5


def test_pages_of_lines(api, things):
    def handle(request):
        offset = int(request.args["offset"])
        return Response("".join(json.dumps(r) + "\n" for r in RECORDS[offset : offset + 2]))

    things.body_format = JSONLinesFormat()
    things.records_may_be_absent = True
    things.paginator = OffsetPaginator(0, 2, param="offset")
    api.expect_request("/things").respond_with_handler(handle)
    assert read(things) == RECORDS


def test_errors_are_read_as_ever(api, things):
    things.body_format = CSVFormat()
    api.expect_request("/things").respond_with_data("no such report", status=404)
    with pytest.raises(FatalAPIError, match="404 Client Error"):
        read(things)


def test_own_parse_response_reads_the_file_of_the_answer(api, things):
    class Stream(things):
        body_format = JSONLinesFormat()

        def parse_response(self, response):
            for line in response.iter_lines():
                yield {"id": json.loads(line)["id"]}

    api.expect_request("/things").respond_with_data(BODIES["lines"][1])
    assert read(Stream) == [{"id": 1}, {"id": 2}, {"id": 3}]


@pytest.mark.parametrize("kind", BODIES)
def test_a_spooled_body_has_a_bound(api, things, kind):
    things.body_format = BODIES[kind][0]
    things.max_response_bytes = 1000
    api.expect_request("/things").respond_with_data(b"x" * 2000)
    with pytest.raises(FatalAPIError, match="over 1000 bytes, decompressed"):
        read(things)


def test_nothing_where_a_page_should_be_is_asked_for_again(api, things):
    answers = [b"", b"", b'[{"id": 1}]', b"[]"]
    api.expect_request("/things").respond_with_handler(lambda request: Response(answers.pop(0)))
    things.paginator = PageNumberPaginator(1, param="page")
    assert read(things) == [{"id": 1}]
    assert answers == []


@pytest.mark.parametrize("body_format", [None, JSONLinesFormat(), JSONArrayFormat()])
def test_nothing_may_mean_no_records(api, things, body_format):
    things.records_may_be_absent = True
    things.body_format = body_format
    api.expect_request("/things").respond_with_data(b"")
    assert read(things) == []


@pytest.mark.parametrize(
    ("body", "kind"), [(b'{"data": [{"id": 1}, {"i', "application/json"), (b"[\n{", "application/json")]
)
def test_own_parse_response_does_not_see_broken_json(api, things, body, kind):
    class Stream(things):
        def parse_response(self, response):
            yield from response.json()

    answers = [body, b'[{"id": 1}]']
    api.expect_request("/things").respond_with_handler(lambda request: Response(answers.pop(0), content_type=kind))
    assert read(Stream) == [{"id": 1}]


@pytest.mark.parametrize("body", [b'{"id": 1}\n{"id": 2}\n', b")]}',\n[1]", b"id\n1\n"])
def test_own_parse_response_sees_what_is_odd(api, things, body):
    class Stream(things):
        def parse_response(self, response):
            yield {"name": response.text}

    api.expect_request("/things").respond_with_data(body, content_type="application/json")
    assert read(Stream) == [{"name": body.decode()}]


# Compressed bodies


def bomb(size: int) -> bytes:
    engine = zlib.compressobj(9, wbits=31)
    return b"".join([*(engine.compress(bytes(2**20)) for _ in range(size // 2**20)), engine.flush()])


@pytest.mark.parametrize("streamed", [True, False])
def test_a_bomb_is_refused_by_its_ratio(api, things, streamed):
    things.body_format = JSONLinesFormat() if streamed else None
    api.expect_request("/things").respond_with_data(bomb(64 * 2**20), headers={"Content-Encoding": "gzip"})
    with pytest.raises(FatalAPIError, match="more than 200 times as large as what came over the wire"):
        read(things)


def test_a_small_body_may_be_as_dense_as_it_likes(api, things):
    body = json.dumps([{"id": 1, "name": "x" * 2_000_000}]).encode()
    encoded = gzip.compress(body)
    assert len(body) > 500 * len(encoded)
    api.expect_request("/things").respond_with_data(encoded, headers={"Content-Encoding": "gzip"})
    assert len(read(things)[0]["name"]) == 2_000_000


MEASURE = """
import json, sys
from pathlib import Path
from singerkit import Tap, RESTStream, typing as th
from singerkit.http.bodies import JSONArrayFormat

class Big(RESTStream):
    name, path, url_base, primary_keys = "big", "/big", sys.argv[1], ("id",)
    records_jsonpath = "$.data[*]"
    body_format = JSONArrayFormat()
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("text", th.StringType)).to_dict()

class TapBig(Tap):
    name = "tap-big"
    config_jsonschema = {}
    def discover_streams(self): return [Big(self)]

TapBig(config={}).sync_all()
# Not getrusage: a child's peak begins at its parent's.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, file=sys.stderr)
"""


def test_an_array_larger_than_the_memory_that_is_allowed(api, tmp_path):
    """The array has 80 MB (``SINGERKIT_LARGE_MB``); held whole it would take several times as much."""
    megabytes = int(os.environ.get("SINGERKIT_LARGE_MB", "80"))
    count = megabytes * 1000
    text = "t" * 970

    def handle(request):
        def pieces():
            yield b'{"data": ['
            for start in range(0, count, 1000):
                rows = [f'{{"id": {n}, "text": "{text}"}}' for n in range(start, start + 1000)]
                yield ((", " if start else "") + ", ".join(rows)).encode()
            yield b'], "next": null}'

        return Response(pieces(), content_type="application/json")

    api.expect_request("/big").respond_with_handler(handle)
    script = tmp_path / "tap_big.py"
    script.write_text(textwrap.dedent(MEASURE))
    with (tmp_path / "out.jsonl").open("wb") as out:
        words = [sys.executable, str(script), api.url_for("/").rstrip("/")]
        ended = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, timeout=600, check=False)
    log = ended.stderr.decode()
    assert ended.returncode == 0, log
    with (tmp_path / "out.jsonl").open("rb") as lines:
        assert sum(line.startswith(b'{"type":"RECORD"') for line in lines) == count
    assert int(log.split()[-1]) < 150, log
    print(log.split()[-1], "MB")


def test_a_server_that_never_delivers_a_whole_body(api, things):
    things.body_format = JSONArrayFormat()
    api.expect_request("/things").respond_with_data(b'[{"id": 1}, {"id"')
    with pytest.raises(RetriableAPIError, match=r"not JSON: .* \(gave up after 5 tries\)"):
        read(things)
