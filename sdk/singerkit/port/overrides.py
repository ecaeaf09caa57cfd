"""Finds overrides that nothing would call, as the classes themselves would say, and members that are not there."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import singerkit
from singerkit.compat.members import MISSING_MEMBERS
from singerkit.compat.overrides import (
    BATCH_SINK_OVERRIDES,
    SINK_OVERRIDES,
    SQL_CONNECTOR_OVERRIDES,
    SQL_SINK_OVERRIDES,
    SQL_STREAM_OVERRIDES,
    SQL_TAP_OVERRIDES,
    SQL_TARGET_OVERRIDES,
    STREAM_OVERRIDES,
    TAP_OVERRIDES,
    TARGET_OVERRIDES,
)
from singerkit.port.findings import NAMES_PAGE, OVERRIDES_PAGE, Finding

#: By the name of the class that an author subclasses.
_ANSWERS: Mapping[str, Mapping[str, str]] = {
    "Stream": STREAM_OVERRIDES,
    "RESTStream": STREAM_OVERRIDES,
    "GraphQLStream": STREAM_OVERRIDES,
    "SQLStream": {**STREAM_OVERRIDES, **SQL_STREAM_OVERRIDES},
    "Tap": TAP_OVERRIDES,
    "SQLTap": {**TAP_OVERRIDES, **SQL_TAP_OVERRIDES},
    "Target": TARGET_OVERRIDES,
    "SQLTarget": {**TARGET_OVERRIDES, **SQL_TARGET_OVERRIDES},
    "Sink": SINK_OVERRIDES,
    "BatchSink": BATCH_SINK_OVERRIDES,
    "RecordSink": SINK_OVERRIDES,
    "SQLSink": {**BATCH_SINK_OVERRIDES, **SQL_SINK_OVERRIDES},
    "SQLConnector": SQL_CONNECTOR_OVERRIDES,
}


class DefinedClass(NamedTuple):
    """A class of the connector: what it is made from, where it sets which members, and where it first uses which."""

    path: str
    name: str
    bases: tuple[str, ...]
    members: dict[str, int]
    uses: dict[str, int]


def classes_in(code: bytes, path: str) -> list[DefinedClass]:
    """Give the classes that a file defines, those within functions too.

    Errors: ``SyntaxError`` for what is not Python.
    """
    return [
        DefinedClass(
            path, node.name, tuple(filter(None, map(_last_name, node.bases))), dict(_members(node)), _uses(node)
        )
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ClassDef)
    ]


def without(lines: Collection[int], classes: Iterable[DefinedClass]) -> list[DefinedClass]:
    """Give classes without the members that stand in these lines."""
    return [
        each._replace(
            members={name: line for name, line in each.members.items() if line not in lines},
            uses={name: line for name, line in each.uses.items() if line not in lines},
        )
        for each in classes
    ]


def refused_overrides(classes: Iterable[DefinedClass]) -> list[Finding]:
    """Give a finding for each override that would be refused; classes are known by their names."""
    listed = list(classes)
    bases = _bases_of(listed)
    findings = []
    for defined in listed:
        answers: dict[str, str] = {}
        for root in sorted(_roots(defined.name, bases)):
            answers.update(_ANSWERS[root])
        findings += [
            Finding(defined.path, line, f"{defined.name}.{name} would never be called: {answers[name]}", OVERRIDES_PAGE)
            for name, line in defined.members.items()
            if name in answers
        ]
    return findings


def _bases_of(classes: Iterable[DefinedClass]) -> dict[str, set[str]]:
    bases: dict[str, set[str]] = {}
    for defined in classes:
        bases.setdefault(defined.name, set()).update(defined.bases)
    return bases


def missing_members(classes: Iterable[DefinedClass]) -> list[Finding]:
    """Give a finding for each member of the SDK's that a class uses, that it does not have itself, and that is gone."""
    listed = list(classes)
    bases = _bases_of(listed)
    own = {name for defined in listed for name in defined.members}
    findings = []
    for defined in listed:
        for root in sorted(set(_roots(defined.name, bases))):
            answers = _gone(root)
            findings += [
                Finding(
                    defined.path, line, f"{defined.name} uses {name}, which is not there: {answers[name]}", NAMES_PAGE
                )
                for name, line in defined.uses.items()
                if name in answers and name not in own
            ]
    return findings


def _gone(root: str) -> dict[str, str]:
    """Give the members that a class of the SDK does not have, and what to do instead."""
    kind = next((kind for kind in MISSING_MEMBERS if root.endswith(kind)), "")
    there = dir(getattr(singerkit, root))
    return {name: why for name, why in {**_ANSWERS[root], **MISSING_MEMBERS.get(kind, {})}.items() if name not in there}


def _roots(name: str, bases: Mapping[str, set[str]], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Give the classes of the SDK that a class comes from; one of the connector's own hides one of the same name."""
    for base in bases.get(name, ()):
        if base in bases and base not in seen and base != name:
            yield from _roots(base, bases, seen | {name})
        elif base in _ANSWERS:
            yield base


def _members(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name, statement.lineno
        elif isinstance(statement, ast.Assign):
            yield from ((name, statement.lineno) for target in statement.targets for name in _set_names(target))
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield from ((name, statement.lineno) for name in _set_names(statement.target))


def _uses(node: ast.ClassDef) -> dict[str, int]:
    """Give what is used of ``self`` and ``super()``, and the first line of each; what is set on ``self`` is own."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and _is_own(each.value)]
    set_here = {each.attr for each in found if isinstance(each.ctx, ast.Store)}
    uses: dict[str, int] = {}
    for each in found:
        if each.attr not in set_here:
            uses[each.attr] = min(each.lineno, uses.get(each.attr, each.lineno))
    return uses


def _is_own(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id == "super"
    return isinstance(value, ast.Name) and value.id in {"self", "cls"}


def _last_name(expression: ast.expr) -> str:
    """Give the last part of a base's name: ``Stream`` of ``streams.Stream[int]``."""
    if isinstance(expression, ast.Subscript):
        expression = expression.value
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def _set_names(target: ast.expr) -> list[str]:
    elements = target.elts if isinstance(target, ast.Tuple) else [target]
    return [element.id for element in elements if isinstance(element, ast.Name)]
