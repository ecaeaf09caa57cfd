"""Running a connector as a person would: a command, its standard streams, its exit code, and a limit to its time.

Every command gets a session of its own, so that whatever it starts can be ended with it, and so that it finds no
terminal to ask questions on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import selectors
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from singerkit_testing.errors import HarnessError, OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MAX_STDOUT_BYTES = 32 * 2**20
MAX_STDERR_BYTES = 4 * 2**20
_CHUNK_BYTES = 2**16
_GRACE_S = 1.0

# A shell that runs its commands in the background makes them ignore SIGINT, and a child inherits that; only a program
# of its own can undo it without running code between fork and exec, which threads make unsafe.
# It says on a pipe why it could not, and the pipe closes by itself when it could.
_DEFAULT_SIGNALS = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
said = int(sys.argv[1])
os.set_inheritable(said, False)
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    os.write(said, str(error.errno).encode())
"""


class Stdin(Enum):
    """Ways to have no input."""

    EMPTY = "the null device"
    CLOSED = "file descriptor 0 is not open at all"
    OPEN = "a pipe that the caller writes to"


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Shape: `exit_code` is negative when a signal ended it; `stdout` holds the first `MAX_STDOUT_BYTES`, `stderr` the
    first and the last of its `MAX_STDERR_BYTES`; `cut` says that there was more. `first_output_s` is None if nothing
    was written. `left_behind` says that processes it had started outlived it (they are ended).

    Units: seconds since the start; `peak_memory_bytes` is the largest resident size, never less than the
    harness's own at the start: a child begins as its copy.
    """

    command: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    first_output_s: float | None = None
    cut: bool = False
    left_behind: bool = False
    peak_memory_bytes: int = 0

    @property
    def ok(self) -> bool:
        """It ended by itself, with success."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def errors(self) -> str:
        """What it logged, as text."""
        return self.stderr.decode("utf-8", "replace")

    def ending(self) -> str:
        """How it ended and its last words: for messages."""
        return f"{self.how_it_ended()}; stderr ends: {self.last_words()}"

    def how_it_ended(self) -> str:
        """Its exit code, signal or time limit, in words."""
        if self.timed_out:
            return f"still running after {self.seconds:.0f} s"
        if self.exit_code < 0:
            return f"ended by {signal.Signals(-self.exit_code).name}"
        return f"exit code {self.exit_code}"

    def last_words(self, limit: int = 2_000) -> str:
        """Give the last message of stderr on one line: its last line, with the indented ones that go on with it."""
        lines = self.errors.strip("\n").rstrip().splitlines()
        begins = next((index for index in range(len(lines) - 1, 0, -1) if lines[index][:1].strip()), 0)
        words = " | ".join(stripped for line in lines[begins:] if (stripped := line.strip()))
        return (words if len(words) <= limit else f"{words[: limit - 1]}…") or "(nothing)"


class Limit:
    """A moment at which all commands that started under it have to end; `cancel` brings it about at once."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.running: WeakSet[Running] = WeakSet()

    def cancel(self) -> None:
        """End the commands, and let no more start."""
        self.ends = 0.0
        for running in list(self.running):
            running.kill()


_limit: ContextVar[Limit | None] = ContextVar("limit", default=None)


@contextlib.contextmanager
def time_limit(limit: Limit) -> Iterator[None]:
    """Put the commands that start inside under a limit.

    Errors: starting one after its end raises ``OutOfTime``.
    """
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def is_out_of_time() -> bool:
    """Whether the time limit that this runs under has passed."""
    limit = _limit.get()
    return limit is not None and time.monotonic() >= limit.ends


def words_of(command: str | Sequence[str]) -> tuple[str, ...]:
    """Split a command line as a shell would; make its program and its files absolute, as it runs in another folder.

    Errors: ``HarnessError`` if there is no such program, or it may not be executed.
    """
    words = _split(command) if isinstance(command, str) else list(command)
    if not words:
        raise HarnessError("the command is empty")
    program = shutil.which(words[0])
    if program is None:
        raise HarnessError(_why_not_runnable(words[0]))
    return (str(Path(program).absolute()), *map(_absolute_if_file, words[1:]))


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise HarnessError(f"the command can't be split into words: {error}") from error


def _why_not_runnable(program: str) -> str:
    if Path(program).is_dir():
        return f"{program} is a folder, not a command"
    if Path(program).exists():
        return f"{program} may not be executed: chmod +x it, or name its interpreter before it"
    if os.sep in program:
        return f"there is no file {program}"
    return f"there is no command {program} on the PATH"


def _absolute_if_file(word: str) -> str:
    is_path = os.sep in word or "." in word  # a bare word is more likely a verb than a file of that name
    return str(Path(word).absolute()) if is_path and not word.startswith("-") and Path(word).is_file() else word


class Running:
    """A command under way: write to it, look at what it has said, signal it, end it.

    Leaving the ``with`` block ends the whole process group, whatever happened.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        command: tuple[str, ...],
        *,
        timeout_s: float,
        max_stdout_bytes: int = MAX_STDOUT_BYTES,
        pause_after_bytes: int | None = None,
    ) -> None:
        self.command = command
        self._process = process
        self._started = time.monotonic()
        self._ends = self._started + timeout_s
        self._stdin = process.stdin.fileno() if process.stdin else None
        self._output = _Output(process, max_stdout_bytes, pause_after_bytes)
        self._exited = threading.Event()
        self._exit_code = 0
        self._exit_seconds = 0.0
        self._peak_memory_bytes = 0
        self._timed_out = False
        self._left_behind = False
        self._is_done = False
        self._feeder: threading.Thread | None = None
        if self._stdin is not None:
            os.set_blocking(self._stdin, False)
        threading.Thread(target=self._await_exit, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._exited.wait(_GRACE_S)
        self._is_done = True
        self._output.stop()
        if self._feeder is not None:  # it stops by itself, and must not find its pipe closed in the middle of a write
            self._feeder.join(_GRACE_S)
        self.close_stdin()

    @property
    def is_running(self) -> bool:
        """The command itself has not ended."""
        return not self._exited.is_set()

    @property
    def stdout(self) -> bytes:
        """What it has written so far."""
        return self._output.stdout.content()

    @property
    def stderr(self) -> bytes:
        """What it has logged so far."""
        return self._output.stderr.content()

    @property
    def stdin_taken(self) -> bool:
        """Everything written so far has been read by the command (or can't be any more)."""
        if self._stdin is None or not self.is_running:
            return True
        waiting = fcntl.ioctl(self._stdin, termios.FIONREAD, struct.pack("i", 0))
        return bool(struct.unpack("i", waiting)[0] == 0)

    def write(self, data: bytes) -> bool:
        """Write, waiting for room; False if the command stopped reading or its time is over."""
        view = memoryview(data)
        while view:
            if self._stdin is None or not self._wait_for_room():
                return False
            try:
                view = view[os.write(self._stdin, view[:_CHUNK_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError:  # it has closed its end
                return False
        return True

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Write all of it and close the input, while the caller goes on."""
        self._feeder = threading.Thread(target=self._feed, args=(chunks,), daemon=True)
        self._feeder.start()

    def close_stdin(self) -> None:
        """End the input."""
        if self._stdin is not None and self._process.stdin is not None:
            self._stdin = None
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close_stdout(self) -> None:
        """Stop reading for good: the next write of the command meets a broken pipe."""
        self._output.close_stdout()

    @property
    def stdout_closed(self) -> bool:
        """Nothing reads its stdout any more."""
        return self._output.stdout_closed.is_set()

    def resume_output(self) -> None:
        """Read on after `pause_after_bytes`."""
        self._output.resume()

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
        """Wait for a condition, the end of the command or the time; gives the condition's last word."""
        until = min(time.monotonic() + timeout_s, self._ends)
        while not condition():
            if time.monotonic() > until or not self.is_running:
                return condition()
            time.sleep(0.005)
        return True

    def wait_drained(self, timeout_s: float = 20.0) -> bool:
        """Wait until the command has taken all that was written."""
        return self.wait_until(lambda: self.stdin_taken, timeout_s)

    def wait_quiet(self, quiet_s: float = 0.5, timeout_s: float = 10.0) -> None:
        """Wait until nothing has come out for a while, beginning now."""
        began = time.monotonic()
        until = began + timeout_s
        while self.is_running and time.monotonic() < min(until, self._ends):
            rest = max(self._output.last_output, began) + quiet_s - time.monotonic()
            if rest <= 0:
                return
            self._exited.wait(rest)

    def wait_exit(self, timeout_s: float) -> bool:
        """Wait for the command to end by itself."""
        return self._exited.wait(max(0.0, min(timeout_s, self._ends - time.monotonic())))

    def signal(self, number: signal.Signals) -> None:
        """Signal the command, not what it has started."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End the command and all it has started, at once."""
        if self._is_done:  # by now its number may belong to someone else
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self) -> Outcome:
        """Wait for the end, or bring it about when the time is over.

        Errors: ``OutOfTime`` if it was not the command's time but the rule's: that says nothing about the command.
        """
        if not self.wait_exit(float("inf")):
            self._timed_out = True
            self.kill()
            self._exited.wait(_GRACE_S)
        if is_out_of_time():
            raise OutOfTime("the rule's time is over")
        self._collect_output()
        seconds, first = self._exit_seconds or time.monotonic() - self._started, self._output.first_output
        return Outcome(
            command=self.command,
            exit_code=self._exit_code,
            stdout=self.stdout,
            stderr=self.stderr,
            seconds=seconds,
            timed_out=self._timed_out,
            # What was there when it ended may be read a moment later.
            first_output_s=None if first is None else min(first - self._started, seconds),
            cut=self._output.stdout.cut,
            left_behind=self._left_behind,
            peak_memory_bytes=self._peak_memory_bytes,
        )

    def _collect_output(self) -> None:
        self._output.resume()
        self._output.ended.wait(0.3)
        if self._group_lives() and not self._timed_out:
            time.sleep(0.1)  # a child may just be on its way out
            self._left_behind = self._group_lives()
        self._end_group()
        self._is_done = True
        self._output.ended.wait(_GRACE_S)
        self._output.stop()

    def _end_group(self) -> None:
        self.kill()
        until = time.monotonic() + _GRACE_S / 2
        while self._group_lives() and time.monotonic() < until:  # dying takes a moment, in which it may still write
            time.sleep(0.005)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _await_exit(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        self._exit_seconds = time.monotonic() - self._started
        self._peak_memory_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        self._exited.set()

    def _feed(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if not self.write(chunk):
                break
        self.close_stdin()

    def _wait_for_room(self) -> bool:
        while time.monotonic() < self._ends and self.is_running:
            if self._stdin is None:
                return False
            if select.select([], [self._stdin], [], 0.1)[1]:
                return True
        return False


class _Capture:
    """Keeps the first bytes and the last ones of a flood."""

    def __init__(self, head_bytes: int, tail_bytes: int) -> None:
        self._head = bytearray()
        self._head_bytes = head_bytes
        self._tail: deque[bytes] = deque()
        self._tail_bytes = tail_bytes
        self._tail_size = 0
        self.cut = False

    def add(self, data: bytes) -> None:
        room = self._head_bytes - len(self._head)
        self._head += data[:room]
        if len(data) > room:
            self._add_to_tail(data[room:])

    def content(self) -> bytes:
        return bytes(self._head) + (b"\n[...]\n" if self.cut and self._tail else b"") + b"".join(self._tail)

    def _add_to_tail(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail and self._tail_size > self._tail_bytes:
            self._tail_size -= len(self._tail.popleft())
            self.cut = True


class _Output:
    """Reads both outputs of a process in one thread, so that neither pipe ever fills up."""

    def __init__(self, process: subprocess.Popen[bytes], max_stdout_bytes: int, pause_after: int | None) -> None:
        self.stdout = _Capture(max_stdout_bytes, 0)
        self.stderr = _Capture(MAX_STDERR_BYTES // 2, MAX_STDERR_BYTES // 2)
        self.ended = threading.Event()
        self.stdout_closed = threading.Event()
        self.first_output: float | None = None
        self.last_output = time.monotonic()
        self._process = process
        self._left = pause_after
        self._paused_for_good = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the reading; what is still in the pipes is lost."""
        self._stop.set()
        self._thread.join(_GRACE_S)

    def resume(self) -> None:
        self._left = None

    def close_stdout(self) -> None:
        self._paused_for_good = True

    def _pump(self) -> None:
        with selectors.DefaultSelector() as selector:
            for pipe, capture in ((self._process.stdout, self.stdout), (self._process.stderr, self.stderr)):
                selector.register(pipe, selectors.EVENT_READ, capture)  # type: ignore[arg-type] # both are pipes
            while selector.get_map() and not self._stop.is_set():
                self._turn(selector)
            for pipe in (self._process.stdout, self._process.stderr):
                pipe.close()  # type: ignore[union-attr] # both are pipes
        self.ended.set()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        if self._paused_for_good and not self.stdout_closed.is_set():
            self._close(selector)
        for key, _ in selector.select(0.05):
            if key.data is self.stdout and self._left == 0:
                time.sleep(0.01)
            elif not self._read(key):
                selector.unregister(key.fileobj)

    def _close(self, selector: selectors.BaseSelector) -> None:
        for key in [key for key in selector.get_map().values() if key.data is self.stdout]:
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr] # a pipe
        self.stdout_closed.set()

    def _read(self, key: selectors.SelectorKey) -> bool:
        counts = key.data is self.stdout and self._left is not None
        data = os.read(key.fd, min(_CHUNK_BYTES, self._left or 0) if counts else _CHUNK_BYTES)
        if key.data is self.stdout and data:
            self.last_output = time.monotonic()
            self.first_output = self.first_output or self.last_output
        if counts and self._left is not None:
            self._left -= len(data)
        key.data.add(data)
        return bool(data)


def start(
    command: Sequence[str],
    *,
    folder: Path,
    stdin: Stdin = Stdin.OPEN,
    environment: Mapping[str, str | None] | None = None,
    timeout_s: float = 30.0,
    max_stdout_bytes: int = MAX_STDOUT_BYTES,
    pause_after_bytes: int | None = None,
) -> Running:
    """Start a command (absolute words, from `words_of`) in a folder.

    Shape: `environment` is laid over the harness's own; None removes a variable. With `pause_after_bytes` nothing more
    of its output is read until `resume_output`.

    Errors: ``HarnessError`` when it can't be executed, ``OutOfTime`` when the rule's time is over.
    """
    words = tuple(command)
    timeout_s = _time_left(timeout_s)
    try:
        process = _launch(
            words if stdin is not Stdin.CLOSED else ("/bin/sh", "-c", 'exec "$@" <&-', "sh", *words),
            cwd=folder,
            env=_environment(environment),
            stdin=subprocess.PIPE if stdin is Stdin.OPEN else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        raise HarnessError(f"{words[0]} can't be started: {error.strerror}") from error
    running = Running(
        process, words, timeout_s=timeout_s, max_stdout_bytes=max_stdout_bytes, pause_after_bytes=pause_after_bytes
    )
    limit = _limit.get()
    if limit is not None:
        limit.running.add(running)
        if time.monotonic() >= limit.ends:  # cancelled meanwhile, by one who could not see this command yet
            running.kill()
    return running


def run(
    command: Sequence[str],
    *,
    folder: Path,
    stdin: bytes | Iterable[bytes] | Stdin = Stdin.EMPTY,
    environment: Mapping[str, str | None] | None = None,
    timeout_s: float = 30.0,
    max_stdout_bytes: int = MAX_STDOUT_BYTES,
) -> Outcome:
    """Run a command to its end, or to its time limit; as `start`, with the input given."""
    source = stdin if isinstance(stdin, Stdin) else Stdin.OPEN
    with start(
        command,
        folder=folder,
        stdin=source,
        environment=environment,
        timeout_s=timeout_s,
        max_stdout_bytes=max_stdout_bytes,
    ) as running:
        if not isinstance(stdin, Stdin):
            running.feed([stdin] if isinstance(stdin, bytes) else stdin)
        return running.finish()


def _time_left(timeout_s: float) -> float:
    limit = _limit.get()
    if limit is None:
        return timeout_s
    rest = limit.ends - time.monotonic()
    if rest <= 0:
        raise OutOfTime("the rule's time is over")
    return min(timeout_s, rest)


def _launch(words: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program that has every signal's default.

    Errors: ``OSError`` when it can't be executed.
    """
    if not any(signal.getsignal(number) is signal.SIG_IGN for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        return subprocess.Popen(words, **options)  # noqa: S603 - the user named this very command
    heard, said = os.pipe()
    with os.fdopen(heard, "rb") as failure:
        try:
            wrapped = [sys.executable, "-I", "-S", "-c", _DEFAULT_SIGNALS, str(said), *words]
            process = subprocess.Popen(wrapped, pass_fds=(said,), **options)  # noqa: S603 - as above
        finally:
            os.close(said)
        number = failure.read()
    if not number:
        return process
    with process:
        process.kill()
    raise OSError(int(number), os.strerror(int(number)))


def _environment(changes: Mapping[str, str | None] | None) -> dict[str, str]:
    merged: dict[str, str | None] = {**os.environ, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}
