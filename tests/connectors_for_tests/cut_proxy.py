"""A server's address that cuts connections: what goes through is looked at, and at a given point the line is dead."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any

#: Told each block on its way to the server; says what is to be done with it.
Judge = Callable[[bytes], str]
PASS, CUT, CUT_BEHIND = "pass", "cut before the server has it", "cut when the server has it, before its answer"


class CutProxy:
    """Forwards TCP connections on the loopback interface to a server, until ``judge`` says to cut one."""

    def __init__(self, host: str, port: int, judge: Judge) -> None:
        self._server = (host, port)
        self._judge = judge
        self.cuts = 0
        self.connections = 0
        #: How many connections to come are closed at once, as while a server restarts.
        self.refusals = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CutProxy:
        """Give the proxy."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                if self.refusals > 0:
                    self.refusals -= 1
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                line = _Line(client, server)
                Thread(target=self._forward, args=(line,), daemon=True).start()
                Thread(target=line.answer, daemon=True).start()

    def _forward(self, line: _Line) -> None:
        """Send on what the client sends."""
        with suppress(OSError):
            while data := line.client.recv(65_536):
                verdict = self._judge(data)
                if verdict == PASS:
                    line.server.sendall(data)
                    continue
                self.cuts += 1
                line.is_cut = True
                if verdict == CUT_BEHIND:
                    line.server.sendall(data)
                    line.answered.wait(1)  # it has done what was asked, if that has an answer; nobody hears of it
                break
        line.close()


class _Line:
    """A connection on both sides."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.is_cut = False
        self.answered = Event()

    def answer(self) -> None:
        """Send back what the server answers."""
        with suppress(OSError):
            while data := self.server.recv(65_536):
                if self.is_cut:
                    self.answered.set()
                    return
                self.client.sendall(data)
        self.close()

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
