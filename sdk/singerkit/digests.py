"""Short digests that tell names apart."""

from __future__ import annotations


def digest_of(name: str) -> str:
    """Give twelve hexadecimal digits that tell one name from all others, the same on every machine."""
    import hashlib  # loads OpenSSL, which few runs need

    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
