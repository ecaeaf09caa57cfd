"""A runner that is killed takes its programs with it: those, too, that notice no broken pipe and ignore a SIGTERM."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from killing import processes_with

from singerkit.runner.supervise.guard import Guard

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes below /proc")
#: Says that it is there, and then does nothing that anybody would notice.
SILENT = "open(option('--out') + '.' + os.path.basename(sys.argv[0]), 'w').close(); time.sleep(60)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SILENT
#: Waits for nothing of what it has started.
PARENT = (
    "import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', *sys.argv])\n" + SILENT
)


@pytest.mark.parametrize("target", [SILENT, STUBBORN, PARENT])
def test_programs_end_with_their_runner(bench, target):
    pid = os.fork()
    if pid == 0:
        bench.run(tap=SILENT, target=target)
        os._exit(0)
    begun = [Path(f"{bench.out}.{name}.py") for name in ("tap", "target")]
    while not all(path.exists() for path in begun):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until = time.monotonic() + 20
    while (left := processes_with(str(bench.folder))) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def test_a_group_that_is_watched_no_longer_is_left_alone(tmp_path):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
    watching = Guard(tmp_path / "groups")
    (tmp_path / "groups").write_text(f"{pid}\n")
    watching.close()
    time.sleep(0.2)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
