"""What is wrong with a config, in words: one line for each rule of the schema that it breaks.

Lines are made from path and rule alone, since a value could be a secret.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_Path: TypeAlias = tuple[str | int, ...]


class Problem(NamedTuple):
    """One broken rule: where (names and indexes from the root), and what is wrong there; the line says both."""

    path: _Path
    what: str

    @property
    def line(self) -> str:
        """The problem as one line of text."""
        return f"{path_text(self.path) or 'config'}: {self.what}"


def config_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Give one line for each rule that the config breaks, from path and rule alone: a value could be a secret.

    Errors: ``ConfigurationError`` when the schema itself is wrong, which only the connector's author can mend.
    """
    return [problem.line for problem in problems_of(config, schema)]


def problems_of(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Problem]:
    """Give each rule that the config breaks once, in the order in which they were found.

    Errors: ``ConfigurationError`` when the schema itself is wrong, which only the connector's author can mend.
    """
    # Imported here: it costs start-up time, and `--help` and `--about` check nothing.
    import jsonschema_rs

    try:
        validator = jsonschema_rs.validator_for(dict(schema), validate_formats=False, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        place = path_text(tuple(getattr(error, "instance_path", ()))) or "its root"
        raise ConfigurationError(
            f"the connector's own schema of its settings is not valid JSON Schema at {place}: report it to its author"
        ) from None
    problems = [found for error in validator.iter_errors(dict(config)) for found in _problems_in(error, schema, config)]
    return list(dict.fromkeys(problems))


def _problems_in(error: Any, schema: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Problem]:
    """Give what one broken rule says; the message that jsonschema-rs gives is never used, it holds the value."""
    path: _Path = tuple(error.instance_path)
    rule, wanted = error.kind.name, error.kind.value
    if rule in ("anyOf", "oneOf") and (inner := _intended_branch(error)):
        for part in inner:
            yield from _problems_in(part, schema, config)
    elif rule in ("required", "dependentRequired"):
        unknown = _unknown_names(config, path, _around(schema, error.schema_path))
        yield Problem((*path, wanted), f"is required{_written_for(wanted, unknown)}")
    elif rule in ("additionalProperties", "unevaluatedProperties"):
        known = list(_around(schema, error.schema_path).get("properties") or {})
        for name in wanted:
            yield Problem((*path, name), f"is not a known setting{suggestion(name, known)}")
    elif rule == "propertyNames":
        of_name = error.kind.error.kind
        yield Problem((*path, error.kind.error.instance), f"its name {_what(of_name.name, of_name.value)}")
    else:
        yield Problem(path, _what(rule, wanted))


def _unknown_names(config: Any, path: _Path, schema: Mapping[str, Any]) -> list[str]:
    """Give the names at a place of the config that its schema does not have; none where another rule names them."""
    if not schema.get("properties") or schema.get("additionalProperties") is False:
        return []
    for step in path:
        config = config[step]
    return [name for name in config if name not in schema["properties"]]


def _written_for(wanted: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches  # only a mistake needs it

    close = get_close_matches(wanted, names, n=1)
    return f"; is '{close[0]}' meant for it?" if close else ""


def _around(schema: Any, rule_path: Sequence[str | int]) -> Mapping[str, Any]:
    """Give the part of a schema that a rule stands in; empty where its path can't be followed."""
    for step in rule_path[:-1]:
        try:
            schema = schema[step]
        except (LookupError, TypeError):
            return {}
    return schema if isinstance(schema, dict) else {}


def _intended_branch(error: Any) -> list[Any]:
    """Find the one alternative that the user meant: the only one whose type and constants fit; else nothing."""
    branches: Iterable[list[Any]] = getattr(error.kind, "context", None) or ()
    fitting = [branch for branch in branches if not any(_shows_another_form(part, error) for part in branch)]
    return fitting[0] if len(fitting) == 1 else []


def _shows_another_form(part: Any, whole: Any) -> bool:
    is_here = list(part.instance_path) == list(whole.instance_path)
    return part.kind.name == "const" or (is_here and part.kind.name in ("type", "enum"))


def path_text(path: Sequence[str | int]) -> str:
    """Give a path as people write it: ``streams[0].name``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _what(rule: str, wanted: Any) -> str:
    return _RULES.get(rule, _any_rule(rule))(wanted)


def _any_rule(rule: str) -> Callable[[Any], str]:
    return lambda _wanted: f"breaks the rule '{rule}' of its schema"


def _type_text(types: Sequence[str]) -> str:
    return "has to be " + " or ".join(sorted(types, key=lambda name: name == "null"))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values)


#: What to say about a rule of the schema; each gets the rule's own value, which the connector's author wrote.
_RULES: Mapping[str, Callable[[Any], str]] = {
    "type": _type_text,
    "enum": lambda values: f"has to be one of {_listed(values)}",
    "const": lambda value: f"has to be {_listed([value])}",
    "minimum": lambda limit: f"has to be at least {limit}",
    "maximum": lambda limit: f"has to be at most {limit}",
    "exclusiveMinimum": lambda limit: f"has to be more than {limit}",
    "exclusiveMaximum": lambda limit: f"has to be less than {limit}",
    "multipleOf": lambda limit: f"has to be a multiple of {limit}",
    "minLength": lambda limit: f"has to have at least {limit} characters",
    "maxLength": lambda limit: f"has to have at most {limit} characters",
    "minItems": lambda limit: f"has to have at least {limit} items",
    "maxItems": lambda limit: f"has to have at most {limit} items",
    "uniqueItems": lambda _: "must not have an item twice",
    "minProperties": lambda limit: f"has to have at least {limit} members",
    "maxProperties": lambda limit: f"has to have at most {limit} members",
    "pattern": lambda pattern: f"has to match the pattern {pattern}",
    "anyOf": lambda _: "has none of the forms that it may have",
    "oneOf": lambda _: "has none of the forms that it may have, or several",
    "falseSchema": lambda _: "is not allowed here",
}


def suggestion(name: str, known: Sequence[str]) -> str:
    """Give ``; did you mean ...`` when a known name is close, else nothing.

    What tap-shop and tap-sql have in common is no likeness: where a name says its kind, the rest of it has to be like.
    """
    from difflib import get_close_matches  # only a mistake needs it

    kind = _kind_of(name)
    rests = {other.removeprefix(kind): other for other in known if not kind or _kind_of(other) in ("", kind)}
    close = get_close_matches(name.removeprefix(kind), rests, n=1)
    return f"; did you mean '{rests[close[0]]}'?" if close else ""


def _kind_of(name: str) -> str:
    return next((kind for kind in ("tap-", "target-", "mapper-") if name.startswith(kind)), "")
