"""Writes the pages on classes: what is declared, the hooks in the order in which a run called them, what else is."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

import singerkit

from .declarations import PAGES, HookClass, Page
from .runs import Tree

_LISTED = re.compile(r"^- ((?:``\w+``(?:, | and | or )?)+)[:;]? ?(.*)$")
_WIDTH = 78


def page_text(page: Page, trees: Mapping[str, Tree]) -> str:
    """Give the whole page."""
    parts = [f"# {page.title}", page.lead]
    for shown in page.hooks:
        parts += _hook_class(shown, trees)
    for name in page.others:
        parts += _other_class(name)
    return "\n\n".join(parts) + "\n"


def _hook_class(shown: HookClass, trees: Mapping[str, Tree]) -> Iterator[str]:
    cls = class_of(shown)
    yield f"## {shown.name}"
    prose, _ = _prose_and_list(cls)
    yield _rst(f".. py:class:: {_signature(cls)}", f"   :module: {shown.package}", "", textwrap.indent(prose, "   "))
    if declared := attributes(cls, shown):
        yield "### Declare"
        yield _rst(*_table(cls, declared))
    yield "### Hooks, in the order in which they are called"
    for scenario, case in zip(shown.scenarios, shown.cases or [""] * len(shown.scenarios), strict=True):
        if case:
            yield case
        yield "```text\n" + "\n".join(_tree_lines(trees[scenario], shown, cls)) + "\n```"
    called = hooks_called(shown, trees)
    yield _rst(*(_member(shown, name) for name in called if is_own(cls, name)))
    if inherited := [f"`{name}`" for name in called if not is_own(cls, name)]:
        yield f"{', '.join(inherited)}: as those of {shown_base(cls)}."
    if shown.on_demand:
        yield "### Hooks that few need"
        for name, when in shown.on_demand.items():
            yield _rst(_member(shown, name, ["", f"   *{when}*".replace("`", "")]))
    rest = [name for name in members(cls) if name not in called and name not in shown.on_demand]
    rest = [name for name in rest if name not in shown.engine]
    if rest:
        yield "### To read and to call"
        yield _rst(*(_member(shown, name) for name in rest))


def _other_class(path: str) -> Iterator[str]:
    module, _, name = path.rpartition(".")
    full = path if module else f"singerkit.{name}"
    yield f"## {name}"
    if not inspect.isclass(named(full)):
        yield _rst(f".. autofunction:: {full}")
        return
    yield _rst(f".. autoclass:: {full}", "   :members:", "   :special-members: __init__", "   :show-inheritance:")


def _rst(*lines: str) -> str:
    return "```{eval-rst}\n" + "\n".join(lines).rstrip() + "\n```"


# What a class has


def named(path: str) -> Any:
    """Give what a dotted name stands for."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def class_of(shown: HookClass) -> type:
    """Give the class itself."""
    found: type = named(f"{shown.package}.{shown.name}")
    return found


def shown_base(cls: type) -> str:
    """Give the name of the base that has a section of its own."""
    return next(base.__name__ for base in cls.__mro__[1:] if base not in owners(cls))


def owners(cls: type) -> list[type]:
    """Give the classes that are shown as one with this: its bases that have no section of their own."""
    shown_elsewhere = {getattr(singerkit, name, None) for page in PAGES.values() for name in _names(page)} - {cls}
    mine = []
    for base in cls.__mro__:
        if base in shown_elsewhere and not (base is singerkit.Sink and cls is singerkit.BatchSink):
            break
        if base.__module__.startswith("singerkit"):
            mine.append(base)
    return mine


def _names(page: Page) -> list[str]:
    return [shown.name for shown in page.hooks] + [name for name in page.others if "." not in name]


def members(cls: type) -> list[str]:
    """Give the public methods and properties, in the order of the source."""
    found: dict[str, None] = {}
    for owner in reversed(owners(cls)):
        for name, value in vars(owner).items():
            if not name.startswith("_") and _is_member(value):
                found.setdefault(name)
    return list(found)


def attributes(cls: type, shown: HookClass) -> list[str]:
    """Give the public attributes that an author may set."""
    found: dict[str, None] = {}
    for owner in reversed(owners(cls)):
        names = {**dict.fromkeys(inspect.get_annotations(owner)), **vars(owner)}
        for name in names:
            value = vars(owner).get(name)
            if not name.startswith("_") and not _is_member(value) and name not in shown.engine:
                found.setdefault(name)
    return list(found)


def _is_member(value: Any) -> bool:
    is_described = isinstance(value, property | functools.cached_property | classmethod | staticmethod)
    return is_described or inspect.isfunction(value) or hasattr(value, "_compute")


def is_own(cls: type, name: str) -> bool:
    """Tell whether a member is shown with this class, and not with one of its bases."""
    return any(name in vars(owner) for owner in owners(cls))


def hooks_called(shown: HookClass, trees: Mapping[str, Tree]) -> list[str]:
    """Give the hooks of a class in the order of their first calls."""
    found: dict[str, None] = {}
    for scenario in shown.scenarios:
        for label in _labels(trees[scenario]):
            owner, _, name = label.partition(".")
            if owner == shown.name:
                found.setdefault(name)
    return list(found)


def _labels(tree: Tree) -> Iterator[str]:
    for name, _, within in tree:
        yield name
        yield from _labels(within)


# The tree of calls


def _tree_lines(tree: Tree, shown: HookClass, cls: type, depth: int = 0, above: str = "") -> Iterator[str]:
    """Give a line for each hook of the class; what other classes do between is left out."""
    for label, count, within in tree:
        owner, _, name = label.partition(".")
        if owner != shown.name:
            is_shown = shown.has_callers and any(each.startswith(f"{shown.name}.") for each in _labels(within))
            if is_shown:
                yield "  " * depth + f"({label})"
            yield from _tree_lines(within, shown, cls, depth + is_shown, above)
            continue
        per = shown.per.get(count, "")
        call = "  " * depth + _call(cls, name)
        note = per if per != above else ""
        yield f"{call:<{_WIDTH - 24}}  {note}".rstrip()
        yield from _tree_lines(within, shown, cls, depth + 1, per)


def _call(cls: type, name: str) -> str:
    found = inspect.getattr_static(cls, name)
    if isinstance(found, property | functools.cached_property):
        return name
    function = getattr(found, "__func__", found)
    words = []
    for parameter in list(inspect.signature(function).parameters.values()):
        if parameter.name in ("self", "cls"):
            continue
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        words.append(stars + parameter.name + ("=" if parameter.kind is parameter.KEYWORD_ONLY else ""))
    return f"{name}({', '.join(words)})"


# Texts


def _signature(cls: type) -> str:
    words = []
    for parameter in inspect.signature(cls).parameters.values():
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words and not any(w.startswith("*") for w in words):
            words.append("*")
        words.append(f"{star}{parameter.name}{default}")
    return f"{cls.__name__}({', '.join(words)})"


def _member(shown: HookClass, name: str, more: Iterable[str] = ()) -> str:
    found = inspect.getattr_static(class_of(shown), name)
    path = f"{shown.package}.{shown.name}.{name}"
    if hasattr(found, "_compute"):  # computed from the class: nothing that the documentation tools know
        return f".. py:attribute:: {path}\n\n   {found._compute.__doc__}\n"
    kind = "autoproperty" if isinstance(found, property | functools.cached_property) else "automethod"
    return "\n".join([f".. {kind}:: {path}", *more, ""])


def _table(cls: type, names: Iterable[str]) -> Iterator[str]:
    meanings = {**_prose_and_list(cls)[1], **_comments(cls)}
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 28 14 58", "")
    yield from ("   * - attribute", "     - default", "     - meaning")
    for name in names:
        yield f"   * - ``{name}``"
        yield f"     - {_default(cls, name)}"
        yield f"     - {meanings[name][:1].upper()}{meanings[name][1:]}"


def _default(cls: type, name: str) -> str:
    value = getattr(cls, name, inspect.Parameter.empty)
    if value is inspect.Parameter.empty:
        return "(needed)"
    if isinstance(value, type):
        return f"``{value.__name__}``"
    if isinstance(value, frozenset):
        value = sorted(value)
    if isinstance(value, tuple):
        value = tuple(int(member) if isinstance(member, int) else member for member in value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"``{value:_}``"
    if name == "retry":
        return "``RetryPolicy()``"
    text = str(value) if hasattr(value, "name") else repr(value)
    return f"``{text}``" if len(text) <= 40 else "(see there)"


def _prose_and_list(cls: type) -> tuple[str, dict[str, str]]:
    """Give a class's docstring without its list of attributes, and what that list says."""
    blocks = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    meanings: dict[str, str] = {}
    kept: list[str] = []
    for block in blocks:
        if not block.startswith("- ``"):
            kept.append(block)
            continue
        if kept and kept[-1].startswith("Declare"):
            kept.pop()
        for item in re.split(r"\n(?=- )", block):
            line = " ".join(line.strip() for line in item.splitlines()).removeprefix("- ")
            for name in re.findall(r"``(\w+)``", line):
                meanings.setdefault(name, _LISTED.sub(r"\2", f"- {line}"))
    return "\n\n".join(kept), meanings


def _comments(cls: type) -> dict[str, str]:
    """Give what ``#:`` comments say of attributes."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if not owner.__module__.startswith("singerkit"):
            continue
        source = textwrap.dedent(inspect.getsource(owner))
        lines = source.splitlines()
        for statement in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
            above = []
            line = statement.lineno - 2
            while lines[line].strip().startswith("#:"):
                above.insert(0, lines[line].strip().removeprefix("#:").strip())
                line -= 1
            for target in targets:
                if above and isinstance(target, ast.Name):
                    found[target.id] = " ".join(above)
    return found
