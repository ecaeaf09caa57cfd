import io
import json
import logging
import threading
import warnings

import pytest
import time_machine

from singerkit.telemetry.logs import LoggedOutput, describe_exception, log_level, notes_of, setup_logging
from singerkit.telemetry.redact import Redactor


@pytest.fixture
def log():
    """Give a function that sets up logging and gives the stream it goes to; everything is as before afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions, threading.excepthook

    def start(level="info", secrets=(), **keywords):
        stream = io.StringIO()
        setup_logging("tap-x", level, stream=stream, redactor=Redactor(secrets), **keywords)
        return stream

    with warnings.catch_warnings():
        yield start
    logging.captureWarnings(False)
    root.handlers[:], root.level, logging.raiseExceptions, threading.excepthook = before
    logging.getLogger("urllib3").setLevel(logging.NOTSET)


@time_machine.travel("2026-01-01T00:00:00Z", tick=False)
def test_a_line_says_when_how_bad_who_and_what(log):
    stream = log()
    logging.getLogger("tap-x").info("read %d records", 3)
    assert stream.getvalue() == "2026-01-01T00:00:00Z INFO tap-x: read 3 records\n"


@time_machine.travel("2026-01-01T00:00:00Z", tick=False)
def test_a_json_line_has_the_keys_that_runners_read(log):
    stream = log(json_format=True)
    logging.getLogger("tap-x").warning("careful", extra={"details": ["one"], "stream_name": "users"})
    line = json.loads(stream.getvalue())
    assert line.pop("pid")
    assert line == {
        "level": "warning",
        "ts": 1767225600.0,
        "logger_name": "tap-x",
        "app_name": "tap-x",
        "thread_name": "MainThread",
        "stream_name": "users",
        "message": "careful",
        "details": ["one"],
    }


@pytest.mark.parametrize("json_format", [False, True])
def test_every_logger_is_covered(log, json_format):
    stream = log("debug", secrets=["s3cret"], json_format=json_format)
    for name in ("tap-x", "requests", "the.authors.own"):
        logging.getLogger(name).error(
            "key=%s\nforged", "s3cret", extra={"details": ["at s3cret\n2026 CRITICAL forged"]}
        )
    try:
        raise ValueError("s3cret\n2026 CRITICAL forged")
    except ValueError:
        logging.getLogger("tap-x").exception("failed")
    shown = stream.getvalue()
    assert "s3cret" not in shown
    lines = shown.splitlines()
    assert all(line.startswith("{" if json_format else ("2", "  ")) and "forged" not in line[:9] for line in lines)


def test_a_traceback_is_shown_at_debug_level_only(log):
    for level, has_traceback in (("debug", True), ("info", False)):
        stream = log(level)
        try:
            raise ValueError("bad")
        except ValueError:
            logging.getLogger("tap-x").exception("failed")
        assert ("Traceback" in stream.getvalue()) is has_traceback
        assert "failed" in stream.getvalue()
        assert "ValueError: bad" in stream.getvalue()


def test_a_failure_stays_within_64_kib(log):
    stream = log("debug")

    def fail(depth):
        if depth:
            fail(depth - 1)
        raise ValueError("x" * 1_000_000)

    try:
        fail(200)
    except ValueError:
        logging.getLogger("tap-x").exception("y" * 1_000_000, extra={"details": ["z" * 10_000] * 10_000})
    assert len(stream.getvalue()) < 64 * 1024
    assert "more characters" in stream.getvalue()


def test_a_wrong_call_does_not_stop_the_run(log):
    stream = log()
    logging.getLogger("tap-x").info("%d records", "no number")
    assert "%d records" in stream.getvalue()


def test_setting_up_again_replaces_what_printed_before(log):
    first, second = log(), log("warning")
    logging.getLogger("tap-x").info("quiet")
    logging.getLogger("tap-x").warning("loud")
    assert first.getvalue() == ""
    assert second.getvalue().endswith("WARNING tap-x: loud\n")


def test_warnings_and_failing_threads_are_logged(log):
    stream = log(secrets=["s3cret"])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old s3cret\nname", stacklevel=1)
    thread = threading.Thread(target=lambda: int("s3cret"))
    thread.start()
    thread.join()
    assert "s3cret" not in stream.getvalue()
    assert "a thread has failed: ValueError" in stream.getvalue()
    assert all(line.startswith("2") for line in stream.getvalue().splitlines())


def test_urls_with_queries_are_not_logged_by_the_http_library(log):
    stream = log("debug")
    logging.getLogger("urllib3.connectionpool").debug("GET /path?key=value")
    logging.getLogger("urllib3.connection").warning("Failed to parse headers (url=http://api/path?key=value)")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, "info"),
        ({"LOGLEVEL": "ERROR"}, "error"),
        ({"SINGERKIT_LOG_LEVEL": "debug", "LOGLEVEL": "ERROR"}, "debug"),
        ({"TAP_X_LOGLEVEL": "WARNING", "SINGERKIT_LOG_LEVEL": "debug"}, "warning"),
        ({"TAP_X_LOGLEVEL": "loud"}, "info"),
    ],
)
def test_the_environment_can_set_the_level(environ, level):
    assert log_level("tap-x", environ) == level


def test_printed_text_becomes_log_lines(log):
    stream = log(secrets=["s3cret"])
    output = LoggedOutput(logging.getLogger("tap-x"))
    print("one\ntwo s3cret", 3, file=output)
    print("unfinished", end="", file=output)
    output.finish()
    output.finish()
    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "INFO tap-x: one",
        "INFO tap-x: two *** 3",
        "INFO tap-x: unfinished",
    ]


def test_bytes_become_log_lines_too(log):
    stream = log(secrets=["s3cret"])
    output = LoggedOutput(logging.getLogger("tap-x"))
    assert output.buffer.write("größe s3c".encode()[:4]) == 4
    assert output.buffer.write(memoryview("größe s3c".encode()[4:])) == 7
    output.write("ret\n")
    output.buffer.writelines([b"a\n", bytearray(b"b\xff")])
    output.buffer.flush()
    output.buffer.write("ö".encode()[:1])
    output.finish()
    assert [line.split(" ", 3)[3] for line in stream.getvalue().splitlines()] == ["größe ***", "a", "b\\xff\\xc3"]


def test_an_exception_is_described_with_its_place():
    try:
        raise KeyError("id")
    except KeyError as error:
        assert describe_exception(error).startswith("KeyError: 'id' at test_logs.py:")
    assert describe_exception(ValueError()) == "ValueError"


@pytest.mark.parametrize("key", ["Jane Roe", "jane@roe.org", "a" * 65, "it's", "naïve", ("a b", 1)])
def test_a_key_that_may_be_a_value_is_masked(key):
    text = describe_exception(KeyError(key))
    assert "'…'" in text
    assert str(key) not in text
    assert "a b" not in text
    assert describe_exception(KeyError("created-at_2")) == "KeyError: 'created-at_2'"


def test_the_notes_of_an_exception_are_its_texts():
    error = ValueError()
    error.__notes__ = "wrong"
    assert notes_of(error) == []
    error.__notes__ = [1, "in the sink of stream 'users'", "for 'Jane Roe'"]
    assert notes_of(error) == ["in the sink of stream 'users'", "for '…'"]
