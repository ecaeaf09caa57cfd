"""Short digests that tell names apart."""

from __future__ import annotations

import hashlib


def digest_of(name: str) -> str:
    """Give twelve hexadecimal digits that tell one name from all others, the same on every machine."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
