"""Programs that are asked something: none outlives who asked, however that ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from killing import processes_with

from singerkit.errors import ConfigurationError
from singerkit.runner.asking import NoAnswer, ask
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of

#: Answers after a while; what it has started goes on.
SLOW = """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *sys.argv])
open(option("--out"), "w").close()
time.sleep(SECONDS)
write({"streams": []})
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes below /proc")


@pytest.fixture
def asked(bench):
    """Give a function that asks a program once."""

    def asked(body, **said):
        job = bench.job(tap=body)
        with PrivateFolder(bench.folder / "private") as files:
            return ask(command_of(job, job.tap, "tap", files), ["--discover"], **said)

    return asked


def is_quiet(bench):
    until = time.monotonic() + 10
    while (left := processes_with(str(bench.folder))) and time.monotonic() < until:
        time.sleep(0.1)
    return not left


def test_a_program_is_given_what_it_reads_and_its_answer_is_taken(asked):
    answer = asked("sys.stderr.write('read'); write(sys.stdin.read(), ''); sys.exit(3)", given=b"x" * 300_000)
    assert (answer.code, answer.output, answer.log) == (3, b"x" * 300_000, b"read")


def test_one_that_does_not_answer_in_time_is_ended_with_what_it_has_started(asked, bench):
    with pytest.raises(NoAnswer, match="tap did not answer within 1 s"):
        asked(SLOW.replace("SECONDS", "60"), seconds=1)
    assert is_quiet(bench)


def test_one_that_nobody_waits_for_any_more_is_ended(asked, bench):
    def tick():
        if bench.out.exists():
            raise ConfigurationError("enough")

    with pytest.raises(ConfigurationError, match="enough"):
        asked(SLOW.replace("SECONDS", "60"), tick=tick)
    assert is_quiet(bench)


def test_it_is_ended_when_the_runner_is_killed(asked, bench):
    pid = os.fork()
    if pid == 0:
        asked(SLOW.replace("SECONDS", "60"))
        os._exit(0)
    while not bench.out.exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert is_quiet(bench)
