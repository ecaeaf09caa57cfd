"""Judging values by JSON Schemas; as the specification names no draft, what one of them allows is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal, localcontext
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

MOST_VIOLATIONS = 10
# Enough digits for `multipleOf` of any number that one meets.
_EXACT = Context(prec=2000)


class Violation(NamedTuple):
    """What is wrong with a value, and where: a path such as ``address/city``, list positions shown as ``[]``."""

    path: str
    text: str


Check = Callable[[Any], list[Violation]]


@cache
def _drafts() -> tuple[Any, ...]:
    # Slow to import, and only needed once a schema is judged.
    from jsonschema import Draft4Validator, Draft6Validator, Draft7Validator, Draft202012Validator, validators

    def is_whole(_: Any, value: Any) -> bool:
        is_decimal = isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value()
        return is_decimal or (isinstance(value, int) and not isinstance(value, bool))

    newer = (Draft202012Validator, Draft7Validator, Draft6Validator)
    return (
        *(_extended(validators, each, each.TYPE_CHECKER.redefine("integer", is_whole)) for each in newer),
        Draft4Validator,
    )


def _extended(validators: Any, draft: Any, type_checker: Any) -> Any:
    return validators.extend(draft, type_checker=type_checker)


def _drafts_for(schema: Mapping[str, Any]) -> list[Any]:
    named = str(schema.get("$schema", "")).rstrip("#")
    chosen = [draft for draft in _drafts() if _name_of(draft).rstrip("#") == named]
    return chosen or list(_drafts())


def _name_of(draft: Any) -> str:
    return str(draft.META_SCHEMA.get("$id") or draft.META_SCHEMA.get("id"))


def schema_flaw(schema: Any) -> str | None:
    """Say what makes this no JSON Schema by any draft (or by the one that it names); None if it is one."""
    if not isinstance(schema, dict):
        return "it is no object"
    flaws = [_meta_flaw(draft, schema) for draft in _drafts_for(schema)]
    return None if None in flaws else flaws[0]


def _meta_flaw(draft: Any, schema: Mapping[str, Any]) -> str | None:
    from jsonschema.exceptions import SchemaError

    try:
        with localcontext(_EXACT):
            draft.check_schema(schema)
    except SchemaError as error:
        return f"at {_path(error.absolute_path) or 'the top'}: {error.message[:200]}"
    except (RecursionError, re.error):
        return None
    return None


def compile_check(schema: Mapping[str, Any]) -> Check:
    """Give a function that lists how a value violates a schema: nothing if any draft lets it pass.

    A schema that can't be judged (invalid, or with references that lead nowhere) lets everything pass.
    """
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped] # the metaschemas: nothing is fetched

    drafts = [draft for draft in _drafts_for(schema) if _meta_flaw(draft, schema) is None]
    validators = [draft(schema, registry=REGISTRY) for draft in drafts]

    def check(value: Any) -> list[Violation]:
        found: list[Violation] = []
        for validator in validators:
            violations = _violations(validator, value)
            if not violations:
                return []
            found = found or violations
        return found

    return check


def _violations(validator: Any, value: Any) -> list[Violation]:
    from referencing.exceptions import Unresolvable

    try:
        with localcontext(_EXACT):
            errors = list(islice(validator.iter_errors(value), MOST_VIOLATIONS))
    except (Unresolvable, ArithmeticError, re.error, RecursionError):
        return []
    return [Violation(_path(error.absolute_path), _sentence(error)) for error in errors]


def _sentence(error: Any) -> str:
    if error.validator == "type":
        return f"{_cut(error.instance)} is not of type {_types(error.validator_value)}"
    return str(error.message)[:200]


def _types(types: Any) -> str:
    return " or ".join(map(str, types)) if isinstance(types, list) else str(types)


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _path(parts: Any) -> str:
    return "/".join("[]" if isinstance(part, int) else str(part) for part in parts)


def references_in(schema: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """List the ``$ref`` in a schema, each with the way to it."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "$ref" and isinstance(inner, str):
                yield above or "the top", inner
            else:
                yield from references_in(inner, f"{above}/{name}")
    elif isinstance(schema, list):
        for item in schema:
            yield from references_in(item, f"{above}/[]")


def types_of(schema: Any) -> frozenset[str]:
    """Give the types that a schema names, in its unions too; empty if it names none."""
    if not isinstance(schema, dict):
        return frozenset()
    named = schema.get("type")
    own = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    branches = [branch for word in ("anyOf", "oneOf") for branch in _list(schema.get(word))]
    return frozenset(map(str, own)).union(*map(types_of, branches))


def branches_of(schema: Any) -> Iterator[dict[str, Any]]:
    """List a schema and, flattened, all that it combines."""
    if isinstance(schema, dict):
        yield schema
        for word in ("anyOf", "oneOf", "allOf"):
            for branch in _list(schema.get(word)):
                yield from branches_of(branch)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
