import json
import subprocess
import sys

import pytest

from singerkit.cli.run import boundary
from singerkit.errors import DiscoveryError

ENDS = [
    ("code", 7, None),
    ("signal", 143, None),
    ("quit", 1, "the run was ended by a call of sys.exit()"),
    ("quit with text", 1, "sys.exit(): sorry ***"),
    ("bug", 1, "CRITICAL tap-x: KeyError: '***' at plugins.py:"),
    ("own bug", 1, "CRITICAL tap-x: internal error: "),
    ("library", 1, "column 2 (char 1) at plugins.py:"),
    ("noted", 1, "CRITICAL tap-x: in stream 'users': for '…': ValueError: no '…' here at plugins.py:"),
    ("key", 1, "CRITICAL tap-x: KeyError: '…' at plugins.py:"),
    ("cancelled", 1, "CRITICAL tap-x: CancelledError: for '…' at plugins.py:"),
    ("generator", 1, "CRITICAL tap-x: GeneratorExit at plugins.py:"),
    ("disk", 1, "No such file or directory '/nowhere/file' (at "),
    ("api", 1, "401 for ***\\n2026 CRITICAL forged"),
    ("data", 1, "stream 'users': 2 rules broken"),
    ("protocol", 4, "line 3 (byte 20): not JSON"),
    ("closed", 141, None),
    ("interrupt", 130, "interrupted"),
]


@pytest.mark.parametrize(("end", "code", "said"), ENDS)
def test_each_end_has_its_exit_code_and_one_message(run, config, end, code, said):
    done = run("tap", "--config", config(end=end))
    assert done.returncode == code
    messages = [line for line in done.stderr.splitlines() if "printed by" not in line]
    assert len([line for line in messages if not line.startswith("  ")]) == (1 if said else 0)
    assert (said or "") in done.stderr
    assert "C4NARY" not in done.stderr
    assert "Jane Roe" not in done.stderr
    assert "Traceback" not in done.stderr


def test_violations_are_lines_below_the_message(run, config):
    assert "2 rules broken\n  /a: type\n  /b: enum\n" in run("tap", "--config", config(end="data")).stderr


def test_details_are_a_list_in_json(run, config):
    done = run("tap", "--config", config(end="data"), "--log-format", "json")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines[-1]["level"] == "critical"
    assert lines[-1]["message"] == "stream 'users': 2 rules broken"
    assert lines[-1]["details"] == ["/a: type", "/b: enum"]


@pytest.mark.parametrize("end", ["bug", "api", "data"])
def test_a_traceback_is_shown_at_log_level_debug(run, config, end):
    for words, environ in ((["--log-level", "debug"], {}), ([], {"TAP_X_LOGLEVEL": "debug"})):
        done = run("tap", "--config", config(end=end), *words, **environ)
        assert "Traceback" in done.stderr
        assert "C4NARY" not in done.stderr
        assert not any(line.startswith("2026 CRITICAL") for line in done.stderr.splitlines())


def test_the_result_of_the_work_is_the_exit_code_when_it_is_an_int():
    for result, code in ((None, 0), (3, 3), (True, 0), ("text", 0)):
        assert boundary("tap-x", lambda result=result: result) == code


def test_the_error_decides_the_exit_code(caplog):
    def work():
        raise DiscoveryError("no answer", stream="users")

    assert boundary("tap-x", work) == 3
    assert caplog.messages == ["stream 'users': no answer"]


def test_stdout_can_be_used_like_a_file(run, config):
    done = run("tap", "--config", config(end="prints"))
    assert done.returncode == 0
    assert json.loads(done.stdout)["verb"] == "sync"
    for who in ("buffer", "writelines"):
        assert f"INFO tap-x: {'bytes' if who == 'buffer' else 'lines'} printed by {who}\n" in done.stderr
    for who in ("descriptor", "child", "grandchild"):
        assert f"\nprinted by {who}\n" in done.stderr


def test_what_a_program_logged_is_told_line_by_line(tmp_path):
    work = "from singerkit.errors import DiscoveryError as E; from singerkit.cli.run import boundary\n"
    work += "def fail(): raise E('x could not discover its streams (exit code 2)\\n  no such host\\n  a\\\\nb')\n"
    ended = subprocess.run([sys.executable, "-c", f"{work}boundary('x', fail)"], capture_output=True, text=True)
    lines = ended.stderr.splitlines()
    assert lines[0].endswith("could not discover its streams (exit code 2)")
    assert lines[1:3] == ["  no such host", "  a\\nb"]
