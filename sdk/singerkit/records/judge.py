"""Judging decoded records by their schema, with jsonschema-rs: verdicts for blocks, every violation for one record.

What a violation says comes from the schema and the place in the record, never from the record's values. Patterns run in
a linear-time engine; those with look-around or back-references, which it can't do, under a budget.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from singerkit.errors import DataError
from singerkit.records.rejection import SHOWN_LENGTH, pointer_of
from singerkit.types import Record, Schema

#: Steps that a pattern with look-around may take on one value: some milliseconds.
PATTERN_BUDGET = 100_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def _validator(schema: Schema) -> Any:
    """Give a jsonschema-rs validator, of the newest draft that can be meant, with patterns under control.

    Errors: DataError for a schema (most likely a pattern) that can't be compiled.
    """
    import jsonschema_rs  # 20 ms, and a tap never needs it

    drafts = (jsonschema_rs.Draft202012Validator, jsonschema_rs.Draft7Validator)
    patterns = (jsonschema_rs.RegexOptions(), jsonschema_rs.FancyRegexOptions(backtrack_limit=PATTERN_BUDGET))
    problem: jsonschema_rs.ValidationError | None = None
    for draft, options in ((draft, options) for draft in drafts for options in patterns):
        try:
            return draft(schema, validate_formats=False, pattern_options=options, retriever=_refuse_reference)
        except jsonschema_rs.ValidationError as error:
            problem = error
        except ValueError:
            break
    path = pointer_of(problem.instance_path) if problem else "/"
    raise DataError(f"the stream's schema at '{path}' can't be used to judge records: is it valid JSON Schema?")


def _refuse_reference(uri: str) -> NoReturn:
    raise ValueError(f"'{uri}' is not followed")


def compile_accepts(schema: Schema) -> Callable[[list[Record]], bool]:
    """Give the function that says whether all records of a block are valid."""
    accepts: Callable[[list[Record]], bool] = _validator({"type": "array", "items": schema}).is_valid
    return accepts


def compile_judge(schema: Schema) -> Callable[[Record], list[str]]:
    """Give the function that lists every violation of a record, none for a valid one."""
    validator = _validator(schema)

    def judge(record: Record) -> list[str]:
        try:
            if validator.is_valid(record):
                return []
            errors = list(validator.iter_errors(record))
        except UnicodeEncodeError:
            return judge(_without_surrogates(record))
        return [_violation(error, schema) for error in errors]

    return judge


def _without_surrogates(value: Any) -> Any:
    """Give a copy in which lone surrogates are replaced, one character by one: jsonschema-rs can't see them."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


def _violation(error: Any, schema: Schema) -> str:
    """Say where, which rule, what was expected; all of it from the schema, nothing from the record's values."""
    said = _at(schema, error.schema_path)
    keyword = str(error.schema_path[-1])
    if said is False and keyword not in _CLOSING:
        keyword = "false"
    return f"{pointer_of(error.instance_path)}: {keyword}: expected {_expected(keyword, said, error.kind)}"


def _at(schema: Any, path: Iterable[str | int]) -> Any:
    """Give what stands at a path in the schema, None where it leads nowhere."""
    for step in path:
        try:
            schema = schema[step]
        except (LookupError, TypeError):
            return None
    return schema


_EXPECTED = {
    "enum": "one of {}",
    "const": "{}",
    "pattern": "text that matches {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no two equal items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "not": "none of what it describes",
    "false": "no value at all",
}
_CLOSING = frozenset({"additionalProperties", "unevaluatedProperties", "additionalItems", "unevaluatedItems", "items"})


def _expected(keyword: str, said: Any, kind: Any) -> str:
    if keyword == "type":
        return " or ".join([said] if isinstance(said, str) else said)
    if keyword == "required":
        return f"a property {_shown(getattr(kind, 'property', said))}"
    if keyword in _CLOSING:
        return f"no properties {_shown(kind.unexpected)}" if hasattr(kind, "unexpected") else "no such part"
    return _EXPECTED.get(keyword, "what it describes").format(_shown(said))


def _shown(said: Any) -> str:
    """Give JSON text of what the schema says, cut, with control characters escaped."""
    text = json.dumps(said, default=str)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."
