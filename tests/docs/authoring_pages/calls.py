"""Who calls which hook, within which other, how often: written down while a real connector runs.

``traced(Class, names, as_)`` gives a subclass that overrides these hooks by ones that note the call and do the same.
Calls of one hook within the same one become one node; the order is that of the first calls.
"""

from __future__ import annotations

import functools
import inspect
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Node:
    def __init__(self) -> None:
        self.count = 0
        self.children: dict[str, Node] = {}

    def as_list(self) -> list[Any]:
        return [[name, node.count, node.as_list()] for name, node in self.children.items()]


class Calls:
    """The tree of calls; each thread has its own place in it."""

    def __init__(self) -> None:
        self._root = Node()
        self._lock = threading.Lock()
        self._places = threading.local()

    def begin(self, name: str) -> Node:
        with self._lock:
            node = self._path()[-1].children.setdefault(name, Node())
            node.count += 1
        self.resume(node)
        return node

    def resume(self, node: Node) -> None:
        self._path().append(node)

    def pause(self) -> None:
        self._path().pop()

    def write(self, path: str) -> None:
        Path(path).write_text(json.dumps(self._root.as_list()))

    def _path(self) -> list[Node]:
        if not hasattr(self._places, "path"):
            self._places.path = [self._root]
        return self._places.path


def traced(cls: type, names: Iterable[str], calls: Calls, owner: str) -> type:
    """Give a subclass whose hooks are noted as ``owner.name`` and then do what they did."""
    members = {name: _noted(inspect.getattr_static(cls, name), f"{owner}.{name}", calls, name) for name in names}
    return type(cls)(cls.__name__, (cls,), {"__module__": "traced", **members})


def note_in_place(cls: type, names: Iterable[str], calls: Calls, owner: str) -> None:
    """Note calls of hooks that would have another meaning if they were overridden."""
    for name in names:
        setattr(cls, name, _noted(inspect.getattr_static(cls, name), f"{owner}.{name}", calls, name))


def _noted(found: Any, label: str, calls: Calls, name: str) -> Any:
    if isinstance(found, staticmethod | classmethod):
        return type(found)(_wrapped(found.__func__, label, calls))
    if isinstance(found, property | functools.cached_property):
        read = found.fget if isinstance(found, property) else found.func
        kind = property if isinstance(found, property) else functools.cached_property
        made: Any = kind(_wrapped(read, label, calls))
        if isinstance(made, functools.cached_property):
            made.__set_name__(None, name)  # type: ignore[arg-type]
        elif found.fset is not None:
            made = made.setter(found.fset)
        return made
    return _wrapped(found, label, calls)


def _wrapped(function: Any, label: str, calls: Calls) -> Any:
    def noted(*arguments: Any, **keywords: Any) -> Any:
        node = calls.begin(label)
        try:
            result = function(*arguments, **keywords)
        finally:
            calls.pause()
        return _steps(result, node, calls) if inspect.isgenerator(result) else result

    noted.__name__ = getattr(function, "__name__", label)
    noted.__doc__ = function.__doc__
    return noted


def _steps(generator: Any, node: Node, calls: Calls) -> Any:
    """Give what a generator gives; what it calls meanwhile is called by it."""
    try:
        while True:
            calls.resume(node)
            try:
                value = next(generator)
            except StopIteration:
                return
            finally:
                calls.pause()
            yield value
    finally:
        generator.close()
