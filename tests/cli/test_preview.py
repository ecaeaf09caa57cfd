"""`--preview`: what is asked, what is answered, the records; nothing else is asked and nothing is written."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import ledger_api
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_api import LedgerAPI
from rich.cells import cell_len
from rich.console import Console

from singerkit.cli.tables import record_tables

TAP = str(Path(ledger_api.__file__).with_name("tap_ledger.py"))


@pytest.fixture
def ledger():
    with LedgerAPI() as api:
        yield api


@pytest.fixture
def preview(ledger, tmp_path):
    """Preview a stream; give what was printed, without the requests' times, and the process."""

    def run(stream, *words, settings=(), program=TAP, columns="120"):
        (tmp_path / "config.json").write_text(json.dumps({**ledger.config, **dict(settings)}))
        command = [sys.executable, program, "--config", "config.json", "--preview", stream, *words]
        environ = {"COLUMNS": columns, "PATH": ""}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=60)
        return done.stdout, done

    return run


def rows_of(shown):
    return [line for line in shown.splitlines() if re.match(r" ?\d+  ", line)]


def test_a_page_is_enough_for_a_few_records(preview, ledger):
    shown, done = preview("accounts", "--limit", "2")
    assert done.returncode == 0, done.stderr
    assert ledger.asked == ["POST /oauth/token", "GET /accounts"]
    lines = shown.splitlines()
    assert lines[0] == "  1  accounts: POST /oauth/token"
    assert lines[2] == "  2  accounts: GET /accounts"
    assert "200 OK" in lines[3]
    assert lines[3].endswith("2 records  next: t2")
    assert "2 records of accounts in 2 requests" in lines[-1]
    assert rows_of(shown)[0].split() == ["1", "0", "account", "0"]


def test_pages_are_read_until_there_are_enough(preview, ledger):
    shown, _ = preview("accounts", "--limit", "3")
    assert ledger.asked[1:] == ["GET /accounts"] * 2
    assert "GET /accounts page_token=t2" in shown
    assert len(rows_of(shown)) == 3
    assert shown.count("2 records") == 2


def test_the_last_page_is_called_so(preview, ledger):
    shown, _ = preview("accounts", "--limit", "1000")
    assert len(ledger.asked) == 4
    assert shown.count("last page") == 1
    assert "6 records of accounts in 4 requests" in shown


def test_parents_are_read_as_far_as_needed(preview, ledger):
    shown, done = preview("entries", "--limit", "6")
    assert done.returncode == 0, done.stderr
    assert ledger.asked[1:] == ["GET /accounts", *["GET /accounts/0/entries"] * 3, "GET /accounts/1/entries"]
    assert "accounts: GET /accounts" in shown
    assert "entries: GET /accounts/1/entries" in shown
    assert "6 records of entries in 6 requests" in shown
    assert '["a","b"]' in shown


def test_no_message_and_no_secret_is_written(preview, ledger):
    shown, done = preview("entries", "--limit", "3", "--log-level", "debug")
    assert '"type"' not in shown
    assert "\x1b" not in shown
    assert "C4NARY" not in shown + done.stderr
    assert ledger.tokens


def test_records_are_shown_as_they_would_go_out(preview):
    maps = {"accounts": {"id": "id", "note": "note.upper()", "double": "id * 2", "__else__": "__NULL__"}}
    shown, done = preview("accounts", "--limit", "2", settings={"stream_maps": maps})
    assert done.returncode == 0, done.stderr
    assert rows_of(shown)[1].split()[1:] in (["1", "ACCOUNT", "1", "2"], ["1", "ACCOUNT", "1", "2.0"])


def test_what_a_filter_drops_is_not_counted(preview, ledger):
    maps = {"accounts": {"__filter__": "id > 2"}}
    shown, done = preview("accounts", "--limit", "2", settings={"stream_maps": maps})
    assert done.returncode == 0, done.stderr
    assert ledger.asked[1:] == ["GET /accounts"] * 3
    assert [row.split()[1] for row in rows_of(shown)] == ["3", "4"]


def test_an_error_is_shown_with_what_came_before(preview, ledger):
    broken = (404, {}, {"error": "no such account \x1b[31m", "token": "C4NARY-x"})
    ledger.hook = lambda path: broken if path == "/accounts/1/entries" else None
    shown, done = preview("entries", "--limit", "50")
    assert done.returncode == 1
    assert "stream 'entries': 404 Client Error: Not Found for path: /accounts/{account}/entries" in done.stderr
    assert "Traceback" not in done.stderr
    assert "404 Not Found" in shown
    assert "no such account" in shown
    assert "\x1b" not in shown


def test_refused_credentials_are_an_error(preview, ledger):
    shown, done = preview("accounts", settings={"client_secret": "C4NARY-wrong"})
    assert done.returncode == 1
    assert "401 Unauthorized" in shown
    assert "C4NARY" not in shown + done.stderr


def test_an_api_that_hangs_up(preview, ledger):
    ledger.hook = lambda path: (0, {}, {}) if path == "/accounts" else None
    shown, done = preview("accounts")
    assert done.returncode == 1
    assert shown.count("accounts: GET /accounts\n     no answer: ConnectionError after ") == 2
    assert "gave up after 2 tries" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "there is no stream 'nothing'; the tap has: accounts, entries"),
        (["accounts", "--limit", "none"], "--limit has to be a number of records"),
        (["accounts", "--limit", "0"], "--limit has to be a number of records"),
    ],
)
def test_what_can_not_be_previewed(preview, ledger, words, message):
    shown, done = preview(*words)
    assert (done.returncode, shown) == (2, "")
    assert message in done.stderr
    assert ledger.asked == []


def test_a_limit_belongs_to_a_preview(run, config):
    done = run("tap", "--config", config(), "--limit", "3")
    assert done.returncode == 2
    assert "--limit belongs to --preview" in done.stderr


def test_a_reader_that_has_seen_enough_ends_it(ledger, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(ledger.config))
    command = f"'{sys.executable}' '{TAP}' --config config.json --preview entries --limit 30 | head -n 1"
    shell = ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode in {0, 141}
    assert done.stderr == ""


NOT_HTTP = """
import os, sys
from singerkit import Stream, Tap
from singerkit import typing as th

class Numbers(Stream):
    name = "numbers"
    schema = th.PropertiesList(th.Property("n", th.IntegerType), th.Property("deep", th.ObjectType())).to_dict()
    selected_by_default = False
    def get_records(self, context):
        print("printed by the author")
        os.write(1, b"written past sys.stdout")
        for n in range(10**9):
            yield {"n": n, "deep": {"a": [n, None, "é"]}}

class TapNumbers(Tap):
    name = "tap-numbers"
    def discover_streams(self): return [Numbers(self)]

TapNumbers.cli()
"""


def test_a_stream_without_http_and_without_end(preview, tmp_path):
    (tmp_path / "tap_numbers.py").write_text(NOT_HTTP)
    shown, done = preview("numbers", program="tap_numbers.py")
    assert done.returncode == 0, done.stderr
    assert len(rows_of(shown)) == 10
    assert '{"a":[9,null,"é"]}' in shown
    assert "10 records of numbers; nothing was written" in shown
    assert "printed by the author" in done.stderr
    assert "written past" not in shown


def test_a_stream_without_a_schema(preview, tmp_path):
    program = NOT_HTTP.replace("    schema =", "    unused =").replace("10**9", "2").replace('"n": n', '"n": {1, n}')
    (tmp_path / "tap_numbers.py").write_text(program)
    shown, done = preview("numbers", program="tap_numbers.py")
    assert done.returncode == 0, done.stderr
    assert [row.split() for row in rows_of(shown)] == [
        ["1", "[0,1]", '{"a":[0,null,"é"]}'],
        ["2", "[1]", '{"a":[1,null,"é"]}'],
    ]


def test_a_preview_can_be_recorded_and_replayed(preview, ledger, tmp_path):
    shown, done = preview("entries", "--limit", "6", "--record", "recording")
    assert done.returncode == 0, done.stderr
    asked = len(ledger.asked)
    again, done = preview("entries", "--limit", "6", "--replay", "recording")
    assert done.returncode == 0, done.stderr
    assert len(ledger.asked) == asked
    assert rows_of(again) == rows_of(shown)


# Tables

_cells = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text() | st.lists(st.integers())


@given(
    records=st.lists(st.dictionaries(st.text(min_size=1, max_size=40), _cells, max_size=12), min_size=1, max_size=4),
    width=st.integers(40, 200),
)
def test_tables_fit_and_show_every_property(records, width):
    console = Console(width=width, file=None, record=False, color_system=None)
    with console.capture() as capture:
        for table in record_tables(records, [], width):
            assert console.measure(table).maximum <= width
            console.print(table)
    assert all(cell_len(line) <= width for line in capture.get().split("\n"))
    columns = sum(len(table.columns) - 1 for table in record_tables(records, [], width))
    assert columns == len({name for record in records for name in record})


def test_values_are_shown_as_they_are():
    records = [{"id": 1, "price": Decimal("1.10"), "text": "a\nb", "flag": True, "none": None, "long": "x" * 100}, {}]
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        for table in record_tables(records, ["price", "id"], 140):
            console.print(table)
    header, _, first, second = capture.get().splitlines()
    assert header.split() == ["price", "id", "text", "flag", "none", "long"]
    assert first.split()[:6] == ["1", "1.10", "1", "a\\nb", "true", "null"]
    assert first.rstrip().endswith("xxx…")
    assert second.split() == ["2"]
