from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from singerkit.engine.stop import StopSignal


@pytest.fixture
def stop():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signals = StopSignal()
    signals.listen()
    yield signals
    descriptor = signal.set_wakeup_fd(-1)
    os.close(descriptor)
    os.close(signals.wake_reader)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code", "name"), [(15, 143, "SIGTERM"), (2, 130, "SIGINT")])
def test_a_signal_sets_a_flag_and_wakes(stop: StopSignal, number: int, code: int, name: str) -> None:
    assert not stop
    assert stop.exit_code == 0
    assert stop.name == ""
    os.kill(os.getpid(), number)
    assert select.select([stop.wake_reader], [], [], 5)[0]
    assert stop
    assert (stop.exit_code, stop.name) == (code, name)


def test_without_listening_nothing_is_taken() -> None:
    stop = StopSignal()
    assert stop.wake_reader is None
    assert not stop


def test_outside_the_main_thread_listening_does_nothing() -> None:
    stop = StopSignal()
    thread = threading.Thread(target=stop.listen)
    thread.start()
    thread.join()
    assert stop.wake_reader is None


def test_a_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import os, signal, sys\n"
        "from singerkit.engine.stop import StopSignal\n"
        "StopSignal().listen()\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('still here', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "import time; time.sleep(30)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert found.stdout == "still here\n"
    assert found.returncode == 143
