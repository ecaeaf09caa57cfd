"""What an author subclasses to read a source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from singerkit.streams.core import Stream

if TYPE_CHECKING:
    from singerkit.streams.graphql import GraphQLStream
    from singerkit.streams.rest import RESTStream

__all__ = ["GraphQLStream", "RESTStream", "Stream"]

_HOME = {"GraphQLStream": "singerkit.streams.graphql", "RESTStream": "singerkit.streams.rest"}


def __getattr__(name: str) -> Any:
    """Import what speaks HTTP on first use: a tap of files or databases starts faster without it."""
    if name not in _HOME:
        raise AttributeError(f"module 'singerkit.streams' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)
