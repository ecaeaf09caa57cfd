"""Connections: each read ends by the deadline, and none leads from a public API into a private network.

Both need to know more than urllib3 hands to a connection, so what holds for the exchange of the moment is kept by
thread (:func:`exchange_of_the_moment`): sending and reading happen in one thread.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from urllib3 import connection, connectionpool

from singerkit.clock import monotonic
from singerkit.errors import FatalAPIError

if TYPE_CHECKING:
    import requests

SOCKET_BYTES = 64 * 1024

_moment = threading.local()


class AddressGuard:
    """Refuses private addresses (loopback, link-local and reserved ones too) to a tap whose API has a public one.

    An API in a private network is as good as any: what is refused is a name that leads there while the API itself is
    public, by a DNS answer that changed or a name that the server chose. A host that is named by its address, or as
    ``localhost``, was named on purpose.
    """

    def __init__(self) -> None:
        """Know no host yet."""
        self._is_private: dict[str, bool] = {}

    def check(self, host: str, address: str, *, base_host: str) -> None:
        """Judge an address that a host's name led to.

        Errors: ``FatalAPIError`` naming the host, never the address.
        """
        private = is_private(address)
        if host == base_host and self._is_private.setdefault(host, private) == private:
            return
        if not private or _names_an_address(host) or (host != base_host and self._leads_to_private(base_host)):
            return
        raise FatalAPIError(
            f"the name '{host}' leads to an address in a private network, and the API ('{base_host}') is not in one; "
            "if that is meant to be so, set allow_private_addresses = True"
        )

    def _leads_to_private(self, host: str) -> bool:
        if host not in self._is_private:
            addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            self._is_private[host] = all(is_private(str(entry[4][0])) for entry in addresses)
        return self._is_private[host]


def is_private(address: str) -> bool:
    """Say whether an IP address is not one of the public internet."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    embedded = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    parsed = embedded or parsed
    return not parsed.is_global or parsed.is_multicast


def _names_an_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


@contextmanager
def exchange_of_the_moment(deadline: float, guard: AddressGuard | None, base_host: str) -> Iterator[None]:
    """Say what holds for the connections and reads of this thread: the deadline, and which addresses are refused."""
    _moment.deadline, _moment.guard, _moment.base_host = deadline, guard, base_host
    try:
        yield
    finally:
        _moment.deadline = _moment.guard = None


def bind_connections(session: requests.Session) -> None:
    """Have a session, an author's own too, open connections that keep the deadline and ask the guard."""
    for adapter in session.adapters.values():
        managers = [getattr(adapter, "poolmanager", None)]
        for proxy in (session.proxies or {}).values():
            if proxy and proxy.lower().startswith("http") and hasattr(adapter, "proxy_manager_for"):
                managers.append(adapter.proxy_manager_for(proxy))
        for manager in managers:
            if manager is not None and manager.pool_classes_by_scheme is not _POOLS:
                manager.pool_classes_by_scheme = _POOLS


class _DeadlineFile(io.RawIOBase):
    """A socket's reading side that gives up at the deadline.

    requests bounds each wait for bytes, not their sum, so a server that drips one byte a second is never abandoned.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._file = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(remaining)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    """The standard library's response, reading through :class:`_DeadlineFile`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = getattr(_moment, "deadline", None)
        if deadline is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_DeadlineFile(sock, deadline), SOCKET_BYTES)


class _Guarded:
    """Asks the guard of the moment about each new connection, before anything is sent on it."""

    host: str
    proxy: Any

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]  # the class beside it has it
        guard: AddressGuard | None = getattr(_moment, "guard", None)
        # A proxy that was configured is where it is; what it connects to is its business.
        if guard is not None and self.proxy is None:
            try:
                guard.check(self.host.strip("[]").lower(), sock.getpeername()[0], base_host=_moment.base_host)
            except BaseException:
                sock.close()
                raise
        return sock


class _Connection(_Guarded, connection.HTTPConnection):
    response_class = _DeadlineResponse


class _TLSConnection(_Guarded, connection.HTTPSConnection):
    response_class = _DeadlineResponse


class _Pool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
