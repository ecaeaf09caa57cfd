"""Finds overrides that nothing would call, as the classes themselves would say when they are defined."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import MetadataWrapper, PositionProvider

from singerkit.compat.overrides import (
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
from singerkit.port.findings import OVERRIDES_PAGE, Finding

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
    "BatchSink": SINK_OVERRIDES,
    "RecordSink": SINK_OVERRIDES,
    "SQLSink": {**SINK_OVERRIDES, **SQL_SINK_OVERRIDES},
    "SQLConnector": SQL_CONNECTOR_OVERRIDES,
}


class DefinedClass(NamedTuple):
    """A class of the connector: what it is made from, and where it sets which members."""

    path: str
    name: str
    bases: tuple[str, ...]
    members: dict[str, int]


def classes_in(code: bytes, path: str) -> list[DefinedClass]:
    """Give the classes that a file defines, those within functions too.

    Errors: ``libcst.ParserSyntaxError`` for what is not Python.
    """
    collector = _Classes(path)
    MetadataWrapper(cst.parse_module(code)).visit(collector)
    return collector.classes


def without(lines: Collection[int], classes: Iterable[DefinedClass]) -> list[DefinedClass]:
    """Give classes without the members that stand in these lines."""
    return [
        each._replace(members={name: line for name, line in each.members.items() if line not in lines})
        for each in classes
    ]


def refused_overrides(classes: Iterable[DefinedClass]) -> list[Finding]:
    """Give a finding for each override that would be refused; classes are known by their names."""
    listed = list(classes)
    bases: dict[str, set[str]] = {}
    for defined in listed:
        bases.setdefault(defined.name, set()).update(defined.bases)
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


def _roots(name: str, bases: Mapping[str, set[str]], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Give the classes of the SDK that a class comes from; one of the connector's own hides one of the same name."""
    for base in bases.get(name, ()):
        if base in bases and base not in seen and base != name:
            yield from _roots(base, bases, seen | {name})
        elif base in _ANSWERS:
            yield base


class _Classes(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self.classes: list[DefinedClass] = []

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        bases = tuple(name for base in node.bases if (name := _last_name(base.value)))
        self.classes.append(DefinedClass(self._path, node.name.value, bases, dict(self._members(node))))

    def _members(self, node: cst.ClassDef) -> Iterator[tuple[str, int]]:
        for statement in node.body.body:
            line = self.get_metadata(PositionProvider, statement).start.line
            if isinstance(statement, cst.FunctionDef):
                yield statement.name.value, self.get_metadata(PositionProvider, statement.name).start.line
            elif isinstance(statement, cst.SimpleStatementLine):
                yield from ((name, line) for part in statement.body for name in _set_names(part))


def _last_name(expression: cst.BaseExpression) -> str:
    """Give the last part of a base's name: ``Stream`` of ``streams.Stream[int]``."""
    if isinstance(expression, cst.Subscript):
        expression = expression.value
    return (get_full_name_for_node(expression) or "").rpartition(".")[2]


def _set_names(statement: cst.BaseSmallStatement) -> Iterator[str]:
    if isinstance(statement, cst.AnnAssign) and statement.value is not None:
        targets: list[cst.BaseExpression] = [statement.target]
    elif isinstance(statement, cst.Assign):
        targets = [each.target for each in statement.targets]
    else:
        return
    for target in targets:
        elements = target.elements if isinstance(target, cst.Tuple) else [cst.Element(target)]
        yield from (element.value.value for element in elements if isinstance(element.value, cst.Name))
