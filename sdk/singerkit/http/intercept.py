"""The one place through which every request of this process passes, while somebody wants to see or to answer it.

Recordings and previews stand here. It is the adapter of requests, and not our own client alone: a connector that asks
by ``requests.get`` itself, an authenticator that posts to a token endpoint, a session that an author made, they all
come by. While nobody stands here nothing is changed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn, TypeAlias

import requests
from requests.adapters import HTTPAdapter

from singerkit.errors import FatalSyncError

#: Sends a request on its way and gives the answer, its body not read yet.
Forward: TypeAlias = Callable[[requests.PreparedRequest], requests.Response]
#: Answers a request, by itself or by ``forward``; called in the threads that send, several at the same time.
Interceptor: TypeAlias = Callable[[requests.PreparedRequest, Forward], requests.Response]

_lock = threading.Lock()
_interceptors: list[Interceptor] = []
_send = HTTPAdapter.send
_refusals = 0
_connect = socket.socket.connect
_look_up = socket.getaddrinfo


@contextmanager
def intercepted(by: Interceptor) -> Iterator[None]:
    """While this lasts have every request answered by a function; what began later stands further out."""
    with _lock:
        _interceptors.append(by)
        _install()
    try:
        yield
    finally:
        with _lock:
            _interceptors.remove(by)
            _install()


def _install() -> None:
    HTTPAdapter.send = _send_through if _interceptors else _send  # type: ignore[method-assign,assignment]


def _send_through(adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
    def forward(forwarded: requests.PreparedRequest) -> requests.Response:
        return _send(adapter, forwarded, *args, **kwargs)

    for interceptor in tuple(_interceptors):
        forward = partial(_through, interceptor, forward)
    return forward(request)


def _through(interceptor: Interceptor, forward: Forward, request: requests.PreparedRequest) -> requests.Response:
    return interceptor(request, forward)


@contextmanager
def no_network() -> Iterator[None]:
    """While this lasts no Python code of this process can connect to anything but a socket of this machine's files."""
    global _refusals
    with _lock:
        _refusals += 1
        socket.socket.connect = _refuse_to_connect  # type: ignore[method-assign,assignment]
        socket.getaddrinfo = _refuse_to_look_up
    try:
        yield
    finally:
        with _lock:
            _refusals -= 1
            if not _refusals:
                del socket.socket.connect  # it is the base class's again
                socket.getaddrinfo = _look_up


def _refuse_to_connect(self: socket.socket, address: Any) -> None:
    if self.family not in {socket.AF_INET, socket.AF_INET6}:
        _connect(self, address)
        return
    _refuse(str(address[0]))


def _refuse_to_look_up(host: Any, *args: Any, **kwargs: Any) -> NoReturn:
    _refuse(host.decode("ascii", "replace") if isinstance(host, bytes) else str(host))


def _refuse(host: str) -> NoReturn:
    raise FatalSyncError(
        f"the tap connects to {host} by other means than requests, which --record does not see; it can't be replayed"
    )
