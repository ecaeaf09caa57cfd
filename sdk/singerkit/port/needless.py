"""Overrides that do nothing any more: what they see to, the engine does."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

_WRITES_SCHEMA = "_write_schema_message"
_FLAG = m.Attribute(m.Name("self"))
_SUPER_CALL = m.Expr(m.Call(m.Attribute(m.Call(m.Name("super")), m.Name(_WRITES_SCHEMA))))
_RAISES_FLAG = m.Assign([m.AssignTarget(_FLAG)], m.Name("True"))
_DOCSTRING = m.Expr(m.SimpleString() | m.ConcatenatedString())
_HARMLESS = (_SUPER_CALL, _RAISES_FLAG, _DOCSTRING, m.Return(None), m.Pass())

_READS_CHILDREN = "_sync_children"
_RETURN = m.SimpleStatementLine([m.Return(None) | m.Return(m.Name("None"))])


def is_needless(function: cst.FunctionDef) -> bool:
    """Tell whether a method only sees to what the engine does anyhow.

    That is one SCHEMA message, and that no children are read for a record whose child context is ``None``.
    """
    name = function.name.value
    if name == _WRITES_SCHEMA:
        return bool(m.findall(function.body, _SUPER_CALL)) and all(map(_is_guard, function.body.body))
    return name == _READS_CHILDREN and _only_skips_no_context(function)


def _is_guard(statement: cst.BaseStatement | cst.BaseSmallStatement) -> bool:
    """Tell whether a statement looks at a flag, raises it, or does what the method did anyhow."""
    if isinstance(statement, cst.If):
        test = statement.test
        flag = test.expression if m.matches(test, m.UnaryOperation(m.Not())) else test  # type: ignore[attr-defined]
        return m.matches(flag, _FLAG) and statement.orelse is None and all(map(_is_guard, statement.body.body))
    if isinstance(statement, cst.SimpleStatementLine):
        return all(map(_is_guard, statement.body))
    return any(m.matches(statement, harmless) for harmless in _HARMLESS)


def _only_skips_no_context(function: cst.FunctionDef) -> bool:
    """Tell whether a method reads all selected children of a context, but for a context that is ``None``."""
    if len(function.params.params) != len(("self", "child_context")):
        return False
    context = m.Name(function.params.params[1].name.value)
    default = _call_of_overridden(context) | _loop_of_overridden(context, function)
    unless_none = m.If(_compared(context, m.IsNot()), m.IndentedBlock([default]), orelse=None)
    if_none = m.If(_compared(context, m.Is()), m.IndentedBlock([_RETURN]), orelse=None)
    documented = m.ZeroOrOne(m.SimpleStatementLine([_DOCSTRING]))
    whole = m.IndentedBlock([documented, m.ZeroOrOne(if_none), default | unless_none, m.ZeroOrOne(_RETURN)])
    return m.matches(function.body, whole)


def _compared(context: m.Name, how: m.Is | m.IsNot) -> m.Comparison:
    return m.Comparison(context, [m.ComparisonTarget(how, m.Name("None"))])


def _call_of_overridden(context: m.Name) -> m.SimpleStatementLine:
    call = m.Call(m.Attribute(m.Call(m.Name("super")), m.Name(_READS_CHILDREN)), [m.Arg(context, star="")])
    return m.SimpleStatementLine([m.Expr(call) | m.Return(call)])


def _loop_of_overridden(context: m.Name, function: cst.FunctionDef) -> m.For:
    """Match what the overridden method does itself: it reads each child that is selected, or above one that is."""
    loops = m.findall(function.body, m.For(m.Name()))
    child = m.Name(cst.ensure_type(cst.ensure_type(loops[0], cst.For).target, cst.Name).value if loops else "")
    is_read = m.BooleanOperation(
        m.Attribute(child, m.Name("selected")), m.Or(), m.Attribute(child, m.Name("has_selected_descendents"))
    )
    read = m.Expr(m.Call(m.Attribute(child, m.Name("sync")), [m.Arg(context, star="")]))
    chosen = m.If(is_read, m.IndentedBlock([m.SimpleStatementLine([read])]), orelse=None)
    all_children = m.Attribute(m.Name("self"), m.Name("child_streams"))
    return m.For(child, all_children, m.IndentedBlock([chosen]), orelse=None)
