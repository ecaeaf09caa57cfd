"""The programs of an attempt with the threads that move their bytes; decides nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeAlias

from singerkit.runner.supervise.acknowledged import Acknowledged
from singerkit.runner.supervise.children import Child, Command
from singerkit.runner.supervise.forward import Forwarder
from singerkit.runner.supervise.guard import Guard
from singerkit.runner.supervise.log_lines import LogLines
from singerkit.telemetry.redact import Redactor

#: Shows a log line of a program.
Show: TypeAlias = Callable[[str, str], None]
_JOIN_S = 1.0


class Plumbing:
    """A started pipe: ``children`` from tap to target, ``forwarders`` between each two, their ``logs``, the ``states``.

    ``forwarders[n]`` reads from ``children[n]`` and writes to ``children[n + 1]``.
    """

    def __init__(self, commands: Sequence[Command], guard: Guard, redactor: Redactor, show: Show) -> None:
        """Start everything; the target first, since what can't load need not be read.

        Errors: ``ConfigurationError`` when a program can't be started; those before it have been ended.
        """
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._threads: list[Thread] = []
        self.children: list[Child] = []
        try:
            for command in reversed(commands):
                reads = command is not commands[0]
                self.children.insert(0, Child(command, guard, stdin=subprocess.PIPE if reads else None))
        except BaseException:
            self.close()
            raise
        self.logs = [self._log_of(child, redactor, show) for child in self.children]
        self.states = Acknowledged(self.target.stdout, lambda line: show("singerkit", self._noise(line, redactor)))
        self.forwarders = [
            self._forwarder(writer, reader) for writer, reader in zip(self.children, self.children[1:], strict=False)
        ]
        for flow in self._flows:
            self._start(flow.run)
        for child in self.children:
            self._start(child.wait)

    @property
    def tap(self) -> Child:
        """The program that only writes."""
        return self.children[0]

    @property
    def target(self) -> Child:
        """The program whose output are states."""
        return self.children[-1]

    @property
    def is_running(self) -> bool:
        """Whether a program runs, or bytes of one are still on their way."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def last_activity(self) -> float:
        """When data, a log line or a state moved last (monotonic seconds)."""
        return max(flow.last_activity for flow in self._flows)

    @property
    def _flows(self) -> list[LogLines | Acknowledged | Forwarder]:
        return [*self.logs, self.states, *self.forwarders]

    def wait(self, seconds: float) -> None:
        """Wait until a program or a flow of bytes ends, or the time has passed."""
        try:
            self._ended.get(timeout=seconds)
        except Empty:
            return

    def close(self) -> None:
        """End what still runs, and what it left behind."""
        for child in self.children:
            child.end()
        for child in self.children:
            child.wait()
        for forwarder in getattr(self, "forwarders", ()):
            forwarder.abandoned = True
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _log_of(self, child: Child, redactor: Redactor, show: Show) -> LogLines:
        return LogLines(child.stderr, redactor, lambda line: show(child.name, line))

    def _forwarder(self, writer: Child, reader: Child) -> Forwarder:
        return Forwarder(writer.stdout, reader.stdin, lambda: writer.wait() == 0)

    def _noise(self, line: str, redactor: Redactor) -> str:
        text = redactor.redact(line.strip())[:200]
        return f"{self.target.name} printed a line that is no state; it is left out: {text}"

    def _start(self, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                self._ended.put(None)

        thread = Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)
