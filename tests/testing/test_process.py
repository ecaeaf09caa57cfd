from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from singerkit_testing import process
from singerkit_testing.errors import HarnessError, OutOfTime
from singerkit_testing.process import Limit, Stdin, run, start, time_limit, words_of


@pytest.fixture
def go(script, tmp_path):
    return lambda code, **options: run(script(code), folder=tmp_path, **options)


@pytest.fixture
def begin(script, tmp_path):
    return lambda code, **options: start(script(code), folder=tmp_path, **options)


def test_what_a_command_did(go):
    outcome = go("import sys; print('out'); print('first'); sys.stderr.write('one\\ntwo \\n'); sys.exit(3)")
    assert (outcome.exit_code, outcome.stdout, outcome.ok) == (3, b"out\nfirst\n", False)
    assert outcome.last_words() == "two"
    assert outcome.ending() == "exit code 3; stderr ends: two"
    assert 0 < outcome.first_output_s <= outcome.seconds
    assert outcome.peak_memory_bytes > 2**20


@pytest.mark.parametrize(
    ("written", "last"),
    [
        (
            "INFO begins\nFATAL not valid:\n  key: is required\n  help: x\n",
            "FATAL not valid: | key: is required | help: x",
        ),
        ("Traceback:\n  File\n    raise\nValueError: no\n\n", "ValueError: no"),
        ("  all\n  of it\n", "all | of it"),
        ("x" * 1_999, "x" * 1_999),
        ("x" * 3_000, "x" * 1_999 + "…"),
        ("INFO one\n\n  two\n", "INFO one | two"),
        (" \n", "(nothing)"),
    ],
)
def test_the_last_message_is_given_whole(go, written, last):
    outcome = go(f"import sys; sys.stderr.write({written!r})")
    assert outcome.last_words() == last


def test_input_is_fed_while_output_is_read(go):
    outcome = go("import sys; sys.stdout.write(sys.stdin.read())", stdin=[b"x" * 300_000, b"y" * 300_000])
    assert len(outcome.stdout) == 600_000


def test_a_command_that_reads_nothing_does_not_block(go):
    assert go("pass", stdin=b"x" * 1_000_000).ok


def test_without_input_there_is_an_end_at_once(go):
    assert go("import sys; print(repr(sys.stdin.read()))").stdout == b"''\n"


def test_stdin_can_be_closed(go):
    code = "import os\ntry:\n os.fstat(0)\nexcept OSError:\n os.write(1, b'closed')"
    assert go(code, stdin=Stdin.CLOSED).stdout == b"closed"


def test_there_is_no_terminal(go):
    assert go("open('/dev/tty')").exit_code == 1


def test_the_time_limit_ends_the_whole_group(go, tmp_path):
    code = """
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    child.wait()
    """
    began = time.monotonic()
    outcome = go(code, timeout_s=1)
    assert time.monotonic() - began < 5
    assert outcome.timed_out
    assert outcome.how_it_ended() == "still running after 1 s"
    assert not is_alive(int(outcome.stdout))


def is_alive(pid):
    """Whether a process is there, does not die in a moment, and is no zombie that waits for its parent."""
    for _ in range(100):
        if not is_there(pid):
            return False
        time.sleep(0.01)
    return True


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_outlives_the_command_is_ended_and_told(go):
    code = """
    import subprocess, sys
    print(subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]).pid)
    """
    outcome = go(code)
    assert (outcome.exit_code, outcome.left_behind) == (0, True)
    assert not is_alive(int(outcome.stdout))


def test_a_flood_is_cut_but_drained(go):
    outcome = go("import os\nfor _ in range(100): os.write(1, b'x' * 10_000)", max_stdout_bytes=50_000)
    assert (outcome.exit_code, len(outcome.stdout), outcome.cut) == (0, 50_000, True)


def test_of_a_flood_of_logs_the_beginning_and_the_end_stay(go):
    code = "import os\nos.write(2, b'begin')\nfor _ in range(90): os.write(2, b'x' * 100_000)\nos.write(2, b'the end')"
    outcome = go(code)
    assert outcome.stderr.startswith(b"beginx")
    assert outcome.stderr.endswith(b"xthe end")
    assert len(outcome.stderr) < process.MAX_STDERR_BYTES + 100


def test_signals_have_their_defaults_again(go):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        outcome = go("import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    finally:
        signal.signal(signal.SIGINT, previous)
    assert outcome.stdout == b"True\n"


def test_a_signal_shows_in_the_exit_code(begin):
    with begin("import time; print('up', flush=True); time.sleep(60)") as running:
        assert running.wait_until(lambda: b"up" in running.stdout)
        running.signal(signal.SIGTERM)
        outcome = running.finish()
    assert outcome.exit_code == -signal.SIGTERM
    assert outcome.how_it_ended() == "ended by SIGTERM"


def test_leaving_the_block_ends_the_command(begin):
    with begin("import time; time.sleep(60)") as running:
        pid = running._process.pid
        assert running.is_running
    assert not is_alive(pid)


def test_input_that_was_taken(begin):
    with begin("import sys, time; sys.stdin.buffer.raw.read(5); time.sleep(60)") as running:
        assert running.write(b"12345")
        assert running.wait_drained()
        assert running.write(b"more")
        assert not running.wait_drained(timeout_s=0.2)


def test_a_broken_pipe(begin):
    with begin("import time\nwhile True: print('x', flush=True); time.sleep(0.01)") as running:
        running.wait_until(lambda: bool(running.stdout))
        running.close_stdout()
        assert running.wait_exit(10)
        assert running.finish().exit_code not in (0, None)


def test_reading_can_pause(begin):
    code = "import os, sys\nfor n in range(100): os.write(1, b'x' * 10_000)\nsys.stderr.write('all out')"
    with begin(code, pause_after_bytes=1000) as running:
        running.wait_until(lambda: len(running.stdout) == 1000)
        running.wait_quiet(0.2)
        assert len(running.stdout) == 1000
        assert b"all out" not in running.stderr
        running.resume_output()
        assert len(running.finish().stdout) == 1_000_000


def test_commands_share_the_limit_they_run_under(go):
    with time_limit(Limit(0.3)):
        with pytest.raises(OutOfTime):
            go("import time; time.sleep(60)")
        with pytest.raises(OutOfTime):
            go("pass")
    assert go("pass").ok


def test_a_limit_can_be_cancelled(begin):
    limit = Limit(60)
    with time_limit(limit), begin("import time; time.sleep(60)") as running:
        limit.cancel()
        assert running.wait_exit(5)
        with pytest.raises(OutOfTime):
            begin("pass")


def test_the_environment_can_change(go):
    code = "import os; print(os.environ.get('NEW'), os.environ.get('PATH'))"
    assert go(code, environment={"NEW": "1", "PATH": None}).stdout == b"1 None\n"


def test_programs_and_files_become_absolute(tmp_path, monkeypatch):
    (tmp_path / "tap.py").touch()
    (tmp_path / "verb").touch()
    monkeypatch.chdir(tmp_path)
    assert words_of(f"{sys.executable} tap.py verb --flag=a.b none.py")[1:] == (
        str(tmp_path / "tap.py"),
        "verb",
        "--flag=a.b",
        "none.py",
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "empty"),
        ("no-such-tap --x", "there is no command no-such-tap on the PATH"),
        ("./no/tap", "there is no file ./no/tap"),
        ("'unbalanced", "can't be split"),
        ("/", "is a folder"),
        (__file__, "may not be executed"),
    ],
)
def test_what_can_not_be_run_is_said_in_a_sentence(command, said):
    with pytest.raises(HarnessError, match=said):
        words_of(command)


@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN])
def test_a_file_that_is_no_program(tmp_path, interrupts):
    handler = signal.signal(signal.SIGINT, interrupts)
    path = tmp_path / "tap"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    try:
        with pytest.raises(HarnessError, match="can't be started"):
            run([str(path)], folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
