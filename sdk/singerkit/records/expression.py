"""Expressions of stream maps: a small, safe language in Python's syntax, compiled once.

A source text is parsed, every node of its tree is checked against a short list and rewritten, and what is left is
compiled to one code object that can reach nothing but the record, the constants of its scope and a ``Meter``::

    name.upper() + '!'   becomes   meter.add(meter.call(record['name'], 'upper'), '!')

What makes that safe:

- A name never means a Python global: it is a property of the record, a constant of the scope, or a loop's variable.
- ``x.y`` is either the call of a method that :mod:`singerkit.records.meter` lists or the member ``y`` of an object;
  nothing that is not listed is looked up on a value, so no class, module, function or generator can ever become one.
- Whatever can grow or repeat (operators, methods, formats, literals, loops) goes through the meter, which stops an
  evaluation that takes too many steps.
"""

from __future__ import annotations

import ast
import datetime as datetime_module
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import CodeType
from typing import Any, TypeAlias

from singerkit.errors import DataError, MappingError
from singerkit.records.meter import MAX_INTEGER_BITS, METHOD_NAMES, Meter, Refused, words

#: Gives an expression's value for a record. Errors: DataError, which never holds a value.
Expression: TypeAlias = Callable[[Mapping[str, Any]], Any]

MAX_SOURCE_LENGTH = 50_000
MAX_NODES = 10_000
MAX_DEPTH = 100


class UnknownNameError(MappingError):
    """An expression uses a name that means nothing in its scope."""


@dataclass(frozen=True)
class Scope:
    """What the names in an expression mean, and where the expression stands.

    Shape: ``properties`` are what records are known to have; with ``is_open`` any other name may be one too. ``own`` is
    the property that ``self`` means. ``where`` ("property 'x'") and ``stream`` are for messages. ``open_fake`` gives a
    Faker; it is called only for an expression that uses ``fake``.
    """

    properties: frozenset[str] = frozenset()
    is_open: bool = False
    constants: Mapping[str, Any] = field(default_factory=dict)
    own: str | None = None
    where: str = "expression"
    stream: str | None = None
    record_names: frozenset[str] = frozenset({"record", "_"})
    open_fake: Callable[[], Any] | None = None


def compile_expression(source: str, *, names: Collection[str]) -> Expression:
    """Compile an expression over records that have the properties ``names``.

    Errors: MappingError for what can't be understood or is not allowed, with what to do.
    """
    return compile_in_scope(source, Scope(properties=frozenset(names)))


def compile_in_scope(source: str, scope: Scope) -> Expression:
    """Compile an expression whose names mean what ``scope`` says.

    Errors: MappingError as for ``compile_expression``; MissingExtraError where ``fake`` is used and not installed.
    """
    rewriter = _Rewriter(scope)
    try:
        body = rewriter.visit(_parsed(source, scope))
        run = _linked(body, rewriter.namespace)
    except (RecursionError, MemoryError):
        raise MappingError(f"{scope.where}: the expression is nested too deeply", stream=scope.stream) from None
    new_meter = Meter if any(isinstance(node, ast.Name) and node.id == _METER for node in ast.walk(body)) else _no_meter
    describe = _describer(scope, rewriter.mentioned)

    def evaluate(record: Mapping[str, Any]) -> Any:
        try:
            return run(record, new_meter())
        except Exception as error:  # noqa: BLE001 - whatever a user's expression raises, a bad record is to blame
            raise DataError(describe(error), stream=scope.stream) from None

    return evaluate


def _no_meter() -> None:
    """Give what an expression gets that spends nothing."""


def _parsed(source: str, scope: Scope) -> ast.expr:
    """Give the tree of an expression, its size checked."""
    if len(source) > MAX_SOURCE_LENGTH:
        raise MappingError(
            f"{scope.where}: an expression has at most {MAX_SOURCE_LENGTH} characters", stream=scope.stream
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice (an odd escape, 'is' with a literal) would name no place
            tree = ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"
        message = f"{scope.where}: this is not one expression ({reason}); write a text constant in quotes: \"'text'\""
        raise MappingError(message, stream=scope.stream) from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise MappingError(f"{scope.where}: the expression has more than {MAX_NODES} parts", stream=scope.stream)
    return tree.body


def _linked(body: ast.expr, namespace: dict[str, Any]) -> Callable[[Mapping[str, Any], Meter | None], Any]:
    """Compile a rewritten tree to ``lambda record, meter: body``, with nothing in reach but ``namespace``."""
    parameters = [ast.arg(arg=_RECORD), ast.arg(arg=_METER)]
    arguments = ast.arguments(posonlyargs=[], args=parameters, kwonlyargs=[], kw_defaults=[], defaults=[])
    tree = ast.fix_missing_locations(ast.Expression(body=ast.Lambda(args=arguments, body=body)))
    code: CodeType = compile(tree, "<stream map>", "eval")
    run: Callable[[Mapping[str, Any], Meter | None], Any] = eval(code, {"__builtins__": {}, **namespace})  # noqa: S307 - checked
    return run


def _describer(scope: Scope, mentioned: frozenset[str] | set[str]) -> Callable[[Exception], str]:
    """Give the function that says what went wrong without telling a value: only names that the expression has."""

    def describe(error: Exception) -> str:
        if isinstance(error, Refused):
            return f"{scope.where}: {error}"
        if isinstance(error, KeyError) and isinstance(error.args[0], str) and error.args[0] in mentioned:
            missing = error.args[0]
            return f"{scope.where}: there is no '{missing}' here; where it may be absent, write record.get('{missing}')"
        kind = type(error).__name__
        return (
            f"{scope.where}: the expression failed with {kind}; does it allow for null, and for values of another type?"
        )

    return describe


# --- the functions ---

#: Name in an expression: name of the meter's method.
_FUNCTIONS = {
    "str": "to_text",
    "int": "to_integer",
    "float": "to_float",
    "bool": "to_boolean",
    "list": "to_list",
    "tuple": "to_tuple",
    "set": "to_set",
    "dict": "to_object",
    "md5": "md5",
    "sha256": "sha256",
    "rand": "random",
    "randint": "random_integer",
    "json.loads": "load_json",
    "json.dumps": "dump_json",
    "datetime.datetime.strptime": "parse_time",
}


def _utc_now() -> datetime_module.datetime:
    """Give what ``datetime.utcnow()`` gave before it was deprecated: now in UTC, without saying so."""
    return datetime_module.datetime.now(tz=datetime_module.UTC).replace(tzinfo=None)


_TIME_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "datetime.datetime": datetime_module.datetime,
    "datetime.datetime.now": datetime_module.datetime.now,
    "datetime.datetime.utcnow": _utc_now,
    "datetime.datetime.today": datetime_module.datetime.today,
    "datetime.datetime.fromisoformat": datetime_module.datetime.fromisoformat,
    "datetime.datetime.fromtimestamp": datetime_module.datetime.fromtimestamp,
    "datetime.datetime.combine": datetime_module.datetime.combine,
    "datetime.date": datetime_module.date,
    "datetime.date.today": datetime_module.date.today,
    "datetime.date.fromisoformat": datetime_module.date.fromisoformat,
    "datetime.date.fromtimestamp": datetime_module.date.fromtimestamp,
    "datetime.time": datetime_module.time,
    "datetime.time.fromisoformat": datetime_module.time.fromisoformat,
    "datetime.timedelta": datetime_module.timedelta,
    "datetime.timezone": datetime_module.timezone,
}
_TIME_CONSTANTS: dict[str, Any] = {
    "datetime.timezone.utc": datetime_module.UTC,
    "datetime.UTC": datetime_module.UTC,
    "datetime.datetime.min": datetime_module.datetime.min,
    "datetime.datetime.max": datetime_module.datetime.max,
    "datetime.date.min": datetime_module.date.min,
    "datetime.date.max": datetime_module.date.max,
}
#: Classes through which a method can be called, its value as the first argument: ``str.upper(name)``.
_CLASSES = frozenset({"str", "dict", "list", "datetime.datetime", "datetime.date"})
_FUNCTION_NAMES = frozenset(name.partition(".")[0] for name in (*_FUNCTIONS, *_TIME_FUNCTIONS))

#: Providers that run templates, look up other names, or make files.
_FAKE_REFUSED = words(
    "format parse pystr_format pyobject pystruct pydict pylist pyset pytuple pyiterable enum binary image zip tar csv "
    "dsv psv tsv json json_bytes fixed_width xml profile add_provider get_providers provider seed seed_instance random"
)


# --- the tree ---

_RECORD = "__record"
_METER = "__meter"

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "modulo",
    ast.Pow: "power",
    ast.LShift: "shift_left",
    ast.RShift: "shift_right",
    ast.BitOr: "either",
    ast.BitAnd: "both",
    ast.BitXor: "differing",
}
_ADVICE: dict[type[ast.AST], str] = {
    ast.Lambda: "a lambda is not allowed",
    ast.NamedExpr: "':=' is not allowed",
    ast.Await: "'await' is not allowed",
    ast.Yield: "'yield' is not allowed",
    ast.YieldFrom: "'yield' is not allowed",
    ast.SetComp: "write set([... for ...]) for a set",
    ast.Starred: "'*' can only unpack within a list: [*a, *b]",
}


class _Rewriter(ast.NodeVisitor):
    """Checks one expression's tree and gives the tree to compile.

    Shape: ``namespace`` collects the constants that the rewritten tree refers to; ``mentioned`` the property names and
    text constants that messages may repeat.
    """

    def __init__(self, scope: Scope) -> None:
        self.namespace: dict[str, Any] = {}
        self.mentioned: set[str] = set()
        self._scope = scope
        self._variables: frozenset[str] = frozenset()
        self._in_loop = False
        self._depth = 0

    def visit(self, node: ast.AST) -> Any:
        """Rewrite one node."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"the expression is nested more than {MAX_DEPTH} levels deep")
        rewritten = super().visit(node)
        self._depth -= 1
        return rewritten

    def generic_visit(self, node: ast.AST) -> Any:
        """Refuse what has no method of its own here."""
        raise self._error(_ADVICE.get(type(node), f"{type(node).__name__} is not allowed in an expression"))

    def _error(self, message: str) -> MappingError:
        return MappingError(f"{self._scope.where}: {message}", stream=self._scope.stream)

    def _all(self, nodes: Iterable[ast.expr]) -> list[ast.expr]:
        return [self.visit(node) for node in nodes]

    def _constant(self, name: str, value: Any) -> ast.expr:
        """Refer to a value by a name that no variable of an expression can have."""
        self.namespace[f"__constant_{name}"] = value
        return ast.Name(f"__constant_{name}", ast.Load())

    # values

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Keep text, numbers, true, false and null."""
        if type(node.value) not in (str, int, float, bool, type(None)):
            raise self._error(f"a constant of type {type(node.value).__name__} is not allowed")
        if type(node.value) is int and node.value.bit_length() > MAX_INTEGER_BITS:
            raise self._error(f"an integer has at most {MAX_INTEGER_BITS} bits")
        if type(node.value) is str:
            self.mentioned.add(node.value)
        return ast.Constant(node.value)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Turn a name into what it means: a variable, the record, a constant or a property."""
        name, scope = node.id, self._scope
        if name in self._variables:
            return ast.Name(name, ast.Load())
        if name in scope.record_names:
            return ast.Name(_RECORD, ast.Load())
        if name in scope.constants:
            return self._constant(name, scope.constants[name])
        if name == "self" and scope.own is not None:
            return self._property(scope.own)
        if name in scope.properties:
            return self._property(name)
        if name in _FUNCTION_NAMES or name == "fake":
            message = f"'{name}' can only be called, as in {name}(...) or {name}.something(...)"
            raise UnknownNameError(f"{scope.where}: {message}", stream=scope.stream)
        if scope.is_open:
            return self._property(name)
        message = self._unknown_name(name, scope.properties | scope.constants.keys())
        raise UnknownNameError(f"{scope.where}: {message}", stream=scope.stream)

    def _unknown_name(self, name: str, known: Collection[str]) -> str:
        near = get_close_matches(name, [*known, *_FUNCTIONS, *_TIME_FUNCTIONS], n=1)
        advice = f"did you mean '{near[0]}'?" if near else "write a text constant in quotes: \"'text'\""
        return f"nothing here has the name '{name}'; {advice}"

    def _property(self, name: str) -> ast.expr:
        self.mentioned.add(name)
        return ast.Subscript(ast.Name(_RECORD, ast.Load()), ast.Constant(name), ast.Load())

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Turn an f-string into its parts, joined by the meter."""
        return _metered("concatenate", *self._all(node.values))

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.expr:
        """Turn ``{value:specification}`` into a call of the meter."""
        if node.conversion in (ord("r"), ord("a")):
            raise self._error("'!r', '!a' and '=' are not allowed in an f-string")
        value = self.visit(node.value)
        if node.conversion == ord("s"):
            value = _metered("format", value)
        return _metered("format", value, *([self.visit(node.format_spec)] if node.format_spec else []))

    def visit_List(self, node: ast.List) -> ast.expr:
        """Measure a list; ``*`` unpacks into it."""
        members: list[ast.expr] = []
        for member in node.elts:
            if isinstance(member, ast.Starred):
                unpacked = _metered("iterate", self.visit(member.value), ast.Constant(1))
                members.append(ast.Starred(unpacked, ast.Load()))
            else:
                members.append(self.visit(member))
        return _made(ast.List(members, ast.Load()), members)

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        """Measure a tuple."""
        members = self._all(node.elts)
        return _made(ast.Tuple(members, ast.Load()), members)

    def visit_Set(self, node: ast.Set) -> ast.expr:
        """Measure a set."""
        members = self._all(node.elts)
        return _made(ast.Set(members), members)

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        """Measure an object; ``**`` unpacks into it."""
        keys = [None if key is None else self.visit(key) for key in node.keys]
        values = self._all(node.values)
        return _made(ast.Dict(keys, values), [*(key or ast.Name("unpacked") for key in keys), *values])

    # operations

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Keep ``and`` and ``or``."""
        return ast.BoolOp(node.op, self._all(node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Keep ``not``, ``-``, ``+`` and ``~``."""
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """Keep ``a if b else c``."""
        return ast.IfExp(self.visit(node.test), self.visit(node.body), self.visit(node.orelse))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Turn an operator into a call of the meter."""
        method = _OPERATORS.get(type(node.op))
        if method is None:
            raise self._error("the operator '@' is not allowed")
        return _metered(method, self.visit(node.left), self.visit(node.right))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Keep a comparison; where it is repeated, its sides are measured."""
        return ast.Compare(self._measured(node.left), node.ops, list(map(self._measured, node.comparators)))

    def _measured(self, node: ast.expr) -> ast.expr:
        value = self.visit(node)
        return _metered("measured", value) if self._in_loop and not isinstance(value, ast.Constant) else value

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Keep ``value[key]`` and ``value[a:b]``; a slice that is repeated is measured."""
        if isinstance(node.slice, ast.Slice):
            return ast.Subscript(self._measured(node.value), self.visit(node.slice), ast.Load())
        return ast.Subscript(self.visit(node.value), self.visit(node.slice), ast.Load())

    def visit_Slice(self, node: ast.Slice) -> ast.expr:
        """Keep ``a:b:c``."""
        bounds = [None if bound is None else self.visit(bound) for bound in (node.lower, node.upper, node.step)]
        return ast.Slice(*bounds)

    # members and calls

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Turn ``value.name`` into the member of an object, or a listed constant."""
        path = self._path(node)
        if path in _TIME_CONSTANTS:
            return self._constant(path.replace(".", "_"), _TIME_CONSTANTS[path])
        self._check_member_name(node.attr)
        self.mentioned.add(node.attr)
        return _metered("member", self.visit(node.value), ast.Constant(node.attr))

    def _check_member_name(self, name: str) -> None:
        if name.startswith("_"):
            raise self._error(f"'.{name}' is not allowed: names that begin with '_' are Python's own")

    def _path(self, node: ast.expr) -> str:
        """Give ``a.b.c`` of a chain of names whose first is a function or module; otherwise an empty text."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self._variables:
            return ""
        return ".".join([node.id, *reversed(names)])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Turn a call into one of the meter's: a listed function, a provider of Faker, or a listed method."""
        path = self._path(node.func)
        if path in _FUNCTIONS:
            return self._metered_call(_FUNCTIONS[path], [], node)
        if path in _TIME_FUNCTIONS:
            function = self._constant(path.replace(".", "_"), _TIME_FUNCTIONS[path])
            return self._metered_call("apply", [function], node)
        if isinstance(node.func, ast.Name):
            raise self._error(self._unknown_name(node.func.id, ()))
        if not isinstance(node.func, ast.Attribute):
            raise self._error("only functions and methods can be called")
        if path.startswith("fake.") and self._has_fake():
            return self._fake_call(path, node)
        return self._method_call(node.func, path, node)

    def _metered_call(self, method: str, first: list[ast.expr], node: ast.Call) -> ast.expr:
        """Call the meter's method with the arguments of ``node``."""
        named = []
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._error("'**' is not allowed in a call")
            is_text_default = method == "dump_json" and keyword.arg == "default" and self._path(keyword.value) == "str"
            named.append(ast.keyword(keyword.arg, ast.Constant(True) if is_text_default else self.visit(keyword.value)))
        return _metered(method, *first, *self._all(node.args), keywords=named)

    def _method_call(self, function: ast.Attribute, path: str, node: ast.Call) -> ast.expr:
        """Call a listed method: of a value, or through its class as in ``str.upper(name)``."""
        method = function.attr
        self._check_member_name(method)
        if method not in METHOD_NAMES:
            near = get_close_matches(method, METHOD_NAMES, n=1)
            advice = f"; did you mean '{near[0]}'?" if near else ""
            raise self._error(f"the method '{method}' does not exist or is not allowed in an expression{advice}")
        class_name = path.rpartition(".")[0]
        if class_name in _CLASSES and class_name not in self._scope.properties and node.args:
            value, *others = node.args
            node = ast.Call(function, others, node.keywords)
            return self._metered_call("call", [self.visit(value), ast.Constant(method)], node)
        return self._metered_call("call", [self.visit(function.value), ast.Constant(method)], node)

    def _has_fake(self) -> bool:
        return self._scope.open_fake is not None and "fake" not in self._scope.constants

    def _fake_call(self, path: str, node: ast.Call) -> ast.expr:
        """Call a provider: ``fake.name()`` or ``fake.unique.name()``."""
        assert self._scope.open_fake is not None  # noqa: S101 - _has_fake was asked
        fake = self._scope.open_fake()
        method = path.removeprefix("fake.")
        is_unique = method.startswith("unique.")
        method = method.removeprefix("unique.")
        if not _is_provider(fake, method):
            raise self._error(
                f"'{path}' does not exist or is not allowed; name a provider of Faker, such as fake.email()"
            )
        first = [self._constant("fake", fake), ast.Constant(is_unique), ast.Constant(method)]
        return self._metered_call("fake", first, node)

    # comprehensions: the loops first, then the body, which sees their variables

    def visit_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> ast.expr:
        """Meter ``[... for ...]``."""
        outer = self._variables, self._in_loop
        loops = self._loops(node)
        made = ast.ListComp(self.visit(node.elt), loops)
        self._variables, self._in_loop = outer
        return _metered("made", made)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        """Make a list of it at once: nothing lazy leaves an expression."""
        return self.visit_ListComp(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        """Meter ``{... for ...}``."""
        outer = self._variables, self._in_loop
        loops = self._loops(node)
        made = ast.DictComp(_metered("key", self.visit(node.key)), self.visit(node.value), loops)
        self._variables, self._in_loop = outer
        return _metered("made", made)

    def _loops(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> list[ast.comprehension]:
        """Rewrite the loops; each round costs by the size of the whole."""
        steps = ast.Constant(4 + sum(1 for _ in ast.walk(node)) // 4)
        return [self._loop(loop, steps) for loop in node.generators]

    def _loop(self, loop: ast.comprehension, steps: ast.expr) -> ast.comprehension:
        if loop.is_async:
            raise self._error("'async' is not allowed")
        values = _metered("iterate", self.visit(loop.iter), steps)
        self._in_loop = True
        self._variables |= self._targets(loop.target)
        return ast.comprehension(loop.target, values, self._all(loop.ifs), 0)

    def _targets(self, target: ast.expr) -> frozenset[str]:
        """Give the variables of a loop: plain names, or tuples of them."""
        if isinstance(target, (ast.Tuple, ast.List)):
            return frozenset().union(*map(self._targets, target.elts))
        if isinstance(target, ast.Name) and not target.id.startswith("__"):
            return frozenset({target.id})
        raise self._error("the variable of a loop is a plain name that does not begin with '__'")


def _metered(method: str, *arguments: ast.expr, keywords: list[ast.keyword] | None = None) -> ast.expr:
    """Call a method of the meter."""
    function = ast.Attribute(ast.Name(_METER, ast.Load()), method, ast.Load())
    return ast.Call(function, list(arguments), keywords or [])


def _made(container: ast.expr, members: Iterable[ast.expr]) -> ast.expr:
    """Measure a literal; one of constants only is no larger than its source."""
    return container if all(isinstance(member, ast.Constant) for member in members) else _metered("made", container)


def _is_provider(fake: Any, name: str) -> bool:
    """Say whether ``fake.name`` is a provider's own method, and none of those that could reach further."""
    if not name.isidentifier() or name.startswith("_") or name in _FAKE_REFUSED:
        return False
    owner = getattr(getattr(fake.factories[0], name, None), "__self__", None)
    return any(kind.__name__ == "BaseProvider" for kind in type(owner).__mro__)
