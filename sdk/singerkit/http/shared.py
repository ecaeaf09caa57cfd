"""What the HTTP streams of one tap have in common."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from singerkit.http.pauses import Gates

if TYPE_CHECKING:
    from singerkit.http.auth import APIAuthenticatorBase
    from singerkit.http.connect import AddressGuard
    from singerkit.http.limit import RateLimits


@dataclass
class SharedByStreams:
    """What the streams of one tap have in common: when and how often each origin may be asked, and credentials."""

    gates: Gates = field(default_factory=Gates)
    limits: RateLimits = field(default_factory=lambda: _rate_limits())
    authenticators: dict[APIAuthenticatorBase, APIAuthenticatorBase] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def address_guard(self) -> AddressGuard:
        """What keeps the tap out of private networks; made when the first request is, for it imports requests."""
        from singerkit.http.connect import AddressGuard

        return AddressGuard()


def _rate_limits() -> RateLimits:
    from singerkit.http.limit import RateLimits  # what only declares a stream starts faster without it

    return RateLimits()
