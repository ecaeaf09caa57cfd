"""Rewrites one Python file: what it imports from ``singer_sdk``, and how it uses that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import libcst as cst
import libcst.matchers as m
from libcst.helpers import get_full_name_for_node
from libcst.metadata import (
    MetadataWrapper,
    PositionProvider,
    QualifiedName,
    QualifiedNameProvider,
    QualifiedNameSource,
)

from singerkit.compat.names import CHOSEN_NO_LONGER
from singerkit.port.findings import NAMES_PAGE, Finding
from singerkit.port.names import Home, ModulePlan, Refusal, home_of_module, is_module, is_old, plan_module, resolve
from singerkit.port.needless import is_needless

_MOST_ON_A_LINE = 3
_OLD_TEXT = re.compile(r"singer_sdk(\.\w+)+")
_ONE_CODEC = "singer_sdk.contrib.msgspec."
_PYTEST_PLUGIN = "singer_sdk.testing.pytest_plugin"
_TAPS = frozenset({"singer_sdk.Tap", "singer_sdk.tap_base.Tap"})
_HABITS = 'habits = "singer-sdk"\n'
_NAMES_PLUGIN = m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name("name"))])]) | m.SimpleStatementLine(
    [m.AnnAssign(m.Name("name"))]
)


class PortedSource(NamedTuple):
    """A file as it is to be, and what stays for a person to do.

    ``names``: what it takes from singerkit; ``dropped``: the lines of methods that are gone.
    """

    code: bytes
    findings: list[Finding]
    names: frozenset[str]
    dropped: frozenset[int] = frozenset()


def port_source(code: bytes, path: str) -> PortedSource:
    """Rewrite the code of a file; what can't be moved stays as it is.

    Errors: ``libcst.ParserSyntaxError`` for what is not Python.
    """
    module = cst.parse_module(code)
    wrapper = MetadataWrapper(module)
    rewriter = _Rewriter(path)
    ported = wrapper.visit(rewriter)
    return PortedSource(ported.bytes, rewriter.findings, frozenset(rewriter.names), frozenset(rewriter.dropped))


def is_test(path: str) -> bool:
    """Tell whether a file of the connector, named from its folder, is a test."""
    parts = path.split("/")
    return "tests" in parts or "test" in parts or parts[-1].startswith(("test_", "conftest"))


class _Import(NamedTuple):
    """One name to import: its home, and what it is called here."""

    home: Home
    local: str


class _Rewriter(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (QualifiedNameProvider, PositionProvider)

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.findings: list[Finding] = []
        self.names: set[str] = set()
        self.dropped: set[int] = set()
        self._uses: set[str] = set()
        self._members: dict[str, set[str]] = {}

    # What is used

    def visit_Module(self, node: cst.Module) -> None:
        node.visit(_Uses(self))

    def note_use(self, old: str) -> None:
        """Take note that a statement which stays uses an old name."""
        self._uses.add(old)
        module, _, name = old.rpartition(".")
        self._members.setdefault(module, set()).add(name)

    def old_name_of(self, node: cst.CSTNode) -> str | None:
        """Give the full old name that an expression means, if it was imported."""
        found = self.get_metadata(QualifiedNameProvider, node, set())
        names = found() if callable(found) else found
        return next((each.name for each in names if _is_imported(each) and is_old(each.name)), None)

    # Imports

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        if any(self._is_dropped(statement) for statement in original_node.body):
            return cst.RemoveFromParent()
        if not any(_imports_old(statement) for statement in original_node.body):
            return updated_node
        statements: list[cst.BaseSmallStatement] = []
        for original, updated in zip(original_node.body, updated_node.body, strict=True):
            statements += self._imports(original) if _imports_old(original) else [updated]
        if not statements:
            return cst.RemoveFromParent()
        return _lines(updated_node, statements)

    def _imports(self, statement: cst.BaseSmallStatement) -> Sequence[cst.BaseSmallStatement]:
        if isinstance(statement, cst.ImportFrom):
            return self._import_from(statement)
        return self._import(cst.ensure_type(statement, cst.Import))

    def _import_from(self, statement: cst.ImportFrom) -> list[cst.BaseSmallStatement]:
        module = get_full_name_for_node(statement.module) if statement.module else ""
        module = module or ""
        if isinstance(statement.names, cst.ImportStar):
            return self._import_star(statement, module)
        wanted: list[_Import] = []
        kept: list[cst.ImportAlias] = []
        for alias in statement.names:
            name = get_full_name_for_node(alias.name) or ""
            moved = self._moved(f"{module}.{name}", alias.evaluated_alias or name, statement)
            if moved is None:
                kept.append(alias.with_changes(comma=cst.MaybeSentinel.DEFAULT))
            else:
                wanted += moved
        if not kept and _is_alike(statement, wanted):
            return [_with_new_names(statement, wanted)]
        left = [statement.with_changes(names=kept, lpar=None, rpar=None)] if kept else []
        return [*_from_imports(wanted), *left]

    def _moved(self, old: str, local: str, statement: cst.CSTNode) -> list[_Import] | None:
        """Give what to import in place of an old name; ``None`` if it can't be moved."""
        if is_module(old):
            return self._moved_module(old, local, statement)
        answer = resolve(old)
        if isinstance(answer, Home):
            self.names.add(answer.name)
            return [_Import(answer, local)]
        if old.startswith(_ONE_CODEC) and old not in self._uses:
            return []  # only what was dropped used it
        self._refuse(old, answer, statement)
        return None

    def _moved_module(self, old: str, local: str, statement: cst.CSTNode) -> list[_Import] | None:
        plan = self._plan_of(old)
        self.names.update(home.name for home in plan.members.values())
        if plan.refusal is not None:
            self._refuse(old, plan.refusal, statement)
            return None
        if plan.module:
            return [_Import(Home(plan.module), local)]
        return [_Import(home, name) for name, home in plan.members.items()]

    def _plan_of(self, old_module: str) -> ModulePlan:
        return plan_module(old_module, self._members.get(old_module, ()))

    def _import_star(self, statement: cst.ImportFrom, module: str) -> list[cst.BaseSmallStatement]:
        home = home_of_module(module)
        if home is None:
            self._refuse(module, resolve(module), statement)
            return [statement]
        return [statement.with_changes(module=_dotted(home))]

    def _import(self, statement: cst.Import) -> list[cst.BaseSmallStatement]:
        made: list[cst.BaseSmallStatement] = []
        for alias in statement.names:
            old = get_full_name_for_node(alias.name) or ""
            local = alias.evaluated_alias
            if not is_old(old):
                made.append(cst.Import([alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)]))
            elif local is not None:
                moved = self._moved(old, local, statement)
                made += [statement] if moved is None else _from_imports(moved)
            else:
                made += self._import_plain(old, statement)
        return made

    def _import_plain(self, old: str, statement: cst.Import) -> list[cst.BaseSmallStatement]:
        """Give ``import a.b`` anew: for each name that is used through it, the module that has it now."""
        uses = [name for name in self._uses if name.startswith(f"{old}.")] or [old]
        answers = {use: _longest(use) for use in uses}
        refused = [answer for _, answer in answers.values() if isinstance(answer, Refusal)]
        if refused:
            self._refuse(old, refused[0], statement)
            return [statement]
        homes = {answer.module for _, answer in answers.values() if isinstance(answer, Home)}
        return [cst.Import([cst.ImportAlias(_dotted(home))]) for home in sorted(homes)]

    # Uses

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        old = self.old_name_of(original_node)
        if old is None:
            return updated_node
        if is_old(get_full_name_for_node(original_node) or ""):  # written in full, after `import singer_sdk`
            home = resolve(old)
            return _dotted(home.full) if isinstance(home, Home) else updated_node
        module, _, name = old.rpartition(".")
        if not is_module(module):
            return updated_node
        plan = self._plan_of(module)
        return updated_node if plan.module or plan.refusal else cst.Name(name)

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.BaseExpression:
        text = original_node.raw_value
        if not _OLD_TEXT.fullmatch(text) or original_node.prefix:
            return updated_node
        rest, answer = _longest(text)
        if isinstance(answer, Refusal):
            self._refuse(text, answer, original_node)
            return updated_node
        quote = original_node.quote
        return updated_node.with_changes(value=f"{quote}{answer.full}{rest}{quote}")

    # What is dropped

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.BaseStatement | cst.RemovalSentinel:
        if not is_needless(original_node):
            return updated_node
        place = self.get_metadata(PositionProvider, original_node)
        self.dropped.update(range(place.start.line, place.end.line + 1))
        return cst.RemoveFromParent()

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        """Let a tap write the catalog that it wrote."""
        is_tap = any(self.old_name_of(base.value) in _TAPS for base in original_node.bases)
        body = updated_node.body
        if not is_tap or is_test(self.path) or not isinstance(body, cst.IndentedBlock):
            return updated_node
        lines = list(body.body)
        named = (place + 1 for place, line in enumerate(lines) if m.matches(line, _NAMES_PLUGIN))
        place = next(named, int(updated_node.get_docstring() is not None))
        lines.insert(place, cst.parse_statement(_HABITS))
        return updated_node.with_changes(body=body.with_changes(body=lines))

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        """Leave something in a block of which nothing is left."""
        if updated_node.body or not original_node.body:
            return updated_node
        return updated_node.with_changes(body=[cst.SimpleStatementLine([cst.Pass()])])

    def _is_dropped(self, statement: cst.BaseSmallStatement) -> bool:
        """Tell whether a statement chooses what is no longer chosen, or loads a plugin that loads itself."""
        name, value = _assigned(statement)
        if name in CHOSEN_NO_LONGER and value is not None:
            old = self.old_name_of(value)
            return old is not None and old.startswith(_ONE_CODEC)
        return name == "pytest_plugins" and value is not None and _texts(value) == [_PYTEST_PLUGIN]

    def _refuse(self, old: str, answer: Home | Refusal, node: cst.CSTNode) -> None:
        reason = answer.reason if isinstance(answer, Refusal) else "its names live in several modules"
        line = self.get_metadata(PositionProvider, node).start.line
        self.findings.append(Finding(self.path, line, f"{old}: {reason}", NAMES_PAGE))


class _Uses(cst.CSTVisitor):
    """Tells the rewriter which old names are used, apart from statements that are dropped."""

    def __init__(self, rewriter: _Rewriter) -> None:
        super().__init__()
        self._rewriter = rewriter

    def visit_SimpleStatementLine(self, node: cst.SimpleStatementLine) -> bool:
        return not any(self._rewriter._is_dropped(statement) for statement in node.body)

    def visit_Import(self, node: cst.Import) -> bool:
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        return False

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self._note(node)

    def visit_Name(self, node: cst.Name) -> None:
        self._note(node)

    def _note(self, node: cst.CSTNode) -> None:
        old = self._rewriter.old_name_of(node)
        if old is not None:
            self._rewriter.note_use(old)


def _is_imported(name: QualifiedName) -> bool:
    return name.source is QualifiedNameSource.IMPORT


def _imports_old(statement: cst.BaseSmallStatement) -> bool:
    if isinstance(statement, cst.ImportFrom):
        module = get_full_name_for_node(statement.module) if statement.module else None
        return not statement.relative and module is not None and is_old(module)
    if isinstance(statement, cst.Import):
        return any(is_old(get_full_name_for_node(alias.name) or "") for alias in statement.names)
    return False


def _longest(old: str) -> tuple[str, Home | Refusal]:
    """Give the answer for the longest beginning of a dotted text that is known, and the rest of the text."""
    parts = old.split(".")
    for length in range(len(parts), 1, -1):
        answer = resolve(".".join(parts[:length]))
        if isinstance(answer, Home):
            return "".join(f".{part}" for part in parts[length:]), answer
    return "", resolve(old)


def _from_imports(wanted: Iterable[_Import]) -> list[cst.BaseSmallStatement]:
    """Give one ``from ... import`` for each module, in the order in which they are first wanted."""
    by_module: dict[str, dict[str, str]] = {}
    for home, local in wanted:
        module, name = (home.module, home.name) if home.name else _split(home.module)
        by_module.setdefault(module, {})[local] = name
    return [_from_import(module, names) for module, names in by_module.items()]


def _is_alike(statement: cst.ImportFrom, wanted: Sequence[_Import]) -> bool:
    """Tell whether a statement can keep its layout: each name has one in its place, all from one module."""
    same_count = not isinstance(statement.names, cst.ImportStar) and len(statement.names) == len(wanted)
    return same_count and all(each.home.name for each in wanted) and len({each.home.module for each in wanted}) == 1


def _with_new_names(statement: cst.ImportFrom, wanted: Sequence[_Import]) -> cst.ImportFrom:
    aliases = cast("Sequence[cst.ImportAlias]", statement.names)
    names = [
        alias.with_changes(name=made.name, asname=alias.asname or made.asname)
        for alias, made in zip(aliases, (_alias(home.name, local) for home, local in wanted), strict=True)
    ]
    return statement.with_changes(module=_dotted(wanted[0].home.module), names=names)


def _split(module: str) -> tuple[str, str]:
    parent, _, name = module.rpartition(".")
    return parent, name


def _from_import(module: str, names: dict[str, str]) -> cst.BaseSmallStatement:
    aliases = [_alias(name, local) for local, name in names.items()]
    if not module:  # a module of no package
        return cst.Import(aliases)
    if len(aliases) <= _MOST_ON_A_LINE:
        return cst.ImportFrom(_dotted(module), aliases)
    return _in_parentheses(_dotted(module), aliases)


def _in_parentheses(module: cst.Attribute | cst.Name, aliases: Sequence[cst.ImportAlias]) -> cst.ImportFrom:
    """Give a name a line, as formatters do; the line it stands on is indented as the block is."""
    comma = cst.Comma(whitespace_after=_next_line("    "))
    last = aliases[-1].with_changes(comma=cst.Comma(whitespace_after=_next_line("")))
    return cst.ImportFrom(
        module,
        [*(alias.with_changes(comma=comma) for alias in aliases[:-1]), last],
        lpar=cst.LeftParen(whitespace_after=_next_line("    ")),
        rpar=cst.RightParen(),
    )


def _next_line(more_indented: str) -> cst.ParenthesizedWhitespace:
    return cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(more_indented))


def _alias(name: str, local: str) -> cst.ImportAlias:
    return cst.ImportAlias(cst.Name(name), cst.AsName(cst.Name(local)) if local != name else None)


def _dotted(text: str) -> cst.Attribute | cst.Name:
    head, *rest = text.split(".")
    made: cst.Attribute | cst.Name = cst.Name(head)
    for name in rest:
        made = cst.Attribute(made, cst.Name(name))
    return made


def _lines(
    line: cst.SimpleStatementLine, statements: Sequence[cst.BaseSmallStatement]
) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement]:
    """Give a line for each statement: what stood above stays above, a comment behind stays behind the last."""
    if len(statements) == len(line.body) > 1:
        return line.with_changes(body=statements)
    plain = [
        cst.SimpleStatementLine([statement.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)])
        for statement in statements
    ]
    plain[0] = plain[0].with_changes(leading_lines=line.leading_lines)
    plain[-1] = plain[-1].with_changes(trailing_whitespace=line.trailing_whitespace)
    return cst.FlattenSentinel(plain)


def _assigned(statement: cst.BaseSmallStatement) -> tuple[str, cst.BaseExpression | None]:
    """Give the name that a statement sets, and the value; no name if it does something else."""
    if isinstance(statement, cst.AnnAssign) and isinstance(statement.target, cst.Name):
        return statement.target.value, statement.value
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        target = statement.targets[0].target
        return (target.value if isinstance(target, cst.Name) else ""), statement.value
    return "", None


def _texts(value: cst.BaseExpression) -> list[str]:
    if isinstance(value, cst.SimpleString):
        return [value.raw_value]
    if isinstance(value, cst.Tuple | cst.List):
        return [element.value.raw_value for element in value.elements if isinstance(element.value, cst.SimpleString)]
    return []
