"""Overrides that do nothing any more: what they kept from happening twice happens once."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

_WRITES_SCHEMA = "_write_schema_message"
_FLAG = m.Attribute(m.Name("self"))
_SUPER_CALL = m.Expr(m.Call(m.Attribute(m.Call(m.Name("super")), m.Name(_WRITES_SCHEMA))))
_RAISES_FLAG = m.Assign([m.AssignTarget(_FLAG)], m.Name("True"))
_DOCSTRING = m.Expr(m.SimpleString() | m.ConcatenatedString())
_HARMLESS = (_SUPER_CALL, _RAISES_FLAG, _DOCSTRING, m.Return(None), m.Pass())


def is_needless(function: cst.FunctionDef) -> bool:
    """Tell whether a method only sees to it that a SCHEMA message is written once: the engine does."""
    if function.name.value != _WRITES_SCHEMA or not m.findall(function.body, _SUPER_CALL):
        return False
    return all(map(_is_guard, function.body.body))


def _is_guard(statement: cst.BaseStatement | cst.BaseSmallStatement) -> bool:
    """Tell whether a statement looks at a flag, raises it, or does what the method did anyhow."""
    if isinstance(statement, cst.If):
        test = statement.test
        flag = test.expression if m.matches(test, m.UnaryOperation(m.Not())) else test  # type: ignore[attr-defined]
        return m.matches(flag, _FLAG) and statement.orelse is None and all(map(_is_guard, statement.body.body))
    if isinstance(statement, cst.SimpleStatementLine):
        return all(map(_is_guard, statement.body))
    return any(m.matches(statement, harmless) for harmless in _HARMLESS)
