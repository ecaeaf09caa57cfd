"""From files and environment to one config: read, complete with defaults, check, know the secrets.

This is the only module that reads config files and the environment for settings.
"""

from __future__ import annotations

import json
import logging
import os
import re
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from singerkit.config.problems import config_problems, suggestion
from singerkit.config.secrets import secret_values, without_secrets
from singerkit.errors import CatalogError, ConfigurationError, ConfigValidationError, StateError
from singerkit.schema.walk import types_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

#: The word that stands for the environment among the sources of a config.
ENVIRONMENT = "ENV"

_logger = logging.getLogger(__name__)

_ERRORS: Mapping[str, type[ConfigurationError]] = {"state": StateError, "catalog": CatalogError}


# Reading


def read_json_object(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read a file that holds one JSON object; ``what`` ("config", "state", "catalog") names it in messages.

    Errors: ``StateError``, ``CatalogError`` or ``ConfigurationError`` by ``what``, with the file and the position.
    An empty file is an error as well: taking it for "no state" would silently start from the beginning.
    """
    name = f"{what} file '{os.fspath(path)}'"
    error_type = _ERRORS.get(what, ConfigurationError)
    try:
        document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise error_type(f"{name} can't be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError as error:
        raise error_type(f"{name} is not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise error_type(f"{name} is nested too deeply") from None
    except json.JSONDecodeError as error:
        hint = ": a state is the last line alone" if what == "state" and error.msg == "Extra data" else ""
        raise error_type(f"{name} {_syntax_problem(error)}{hint}") from None
    except ValueError:  # an integer beyond what Python converts
        raise error_type(f"{name} holds a number with too many digits") from None
    if not isinstance(document, dict):
        raise error_type(f"{name} has to hold a JSON object, but holds {_json_type(document)}")
    return document


def _syntax_problem(error: json.JSONDecodeError) -> str:
    if not error.doc.strip():
        return "is empty: it has to hold a JSON object"
    return f"is not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"


def _json_type(value: object) -> str:
    names = {str: "a string", list: "an array", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def read_config(
    sources: Sequence[str | os.PathLike[str]],
    *,
    env_prefix: str,
    schema: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
) -> ReadConfig:
    """Merge the sources of a config, later ones over earlier ones, setting by setting at the top level.

    Shape: a source is the path of a JSON file, or ``ENV`` for the variables ``<env_prefix><SETTING>`` of ``environ``
    (the process's) and of a file `.env` in the working directory; where both have a variable, ``environ`` wins.
    Errors: ``ConfigurationError`` names the file and the line.
    """
    config = ReadConfig()
    for source in sources:
        if source == ENVIRONMENT:
            variables = {**_dotenv_variables(), **(os.environ if environ is None else environ)}
            config.take(_config_of_environment(variables, env_prefix, schema), source)
        else:
            config.take(read_json_object(source, "config"), source)
    return config


class ReadConfig(dict[str, Any]):
    """A config that knows where it comes from.

    Shape: ``holders`` gives for a setting the sources that have it, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.holders: dict[str, tuple[str | os.PathLike[str], ...]] = {}

    def take(self, settings: Mapping[str, Any], source: str | os.PathLike[str]) -> None:
        """Add a source, whose settings win over what is there."""
        self.update(settings)
        for name in settings:
            self.holders[name] = (*self.holders.get(name, ()), source)

    def overlay(self, config: Mapping[str, Any]) -> None:
        """Add settings that a program gave: they come from where they say, else from no source."""
        self.update(config)
        holders = getattr(config, "holders", {})
        self.holders.update({name: holders.get(name, ()) for name in config})


def _dotenv_variables() -> dict[str, str]:
    if not Path(".env").is_file():
        return {}
    # Imported here: few runs have such a file, and every start would pay for it.
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(".env").items() if value is not None}


def _config_of_environment(variables: Mapping[str, str], prefix: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, setting in (schema.get("properties") or {}).items():
        text = variables.get(prefix + name.upper().replace("-", "_"))
        types = types_of(setting)
        if text is not None and (text or "string" in types or not types):
            config[name] = _from_text(text, setting, types)
    return config


_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def _from_text(text: str, schema: Mapping[str, Any], types: Collection[str]) -> Any:
    """Convert a variable's text to its setting's type; text that is not of it stays, and validation names it."""
    for name, convert in _CONVERTERS.items():
        if name in types:
            try:
                return convert(text)
            except ValueError:
                continue
    items = schema.get("items")
    if "array" in types and "string" in types_of(items):
        return text.split(",")
    return text


def _to_boolean(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE


def _json_reader(wanted: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, wanted):
            raise ValueError
        return value

    return convert


#: In the order of preference where a setting has several types.
_CONVERTERS: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": _to_boolean,
    "array": _json_reader(list),
    "object": _json_reader(dict),
}


# Resolving


class ResolvedConfig(dict[str, Any]):
    """A config that is complete and checked; it can be read only, and its ``repr`` shows no secret.

    Shape: ``secrets`` holds the text of every secret value in it; ``holders`` the sources of each setting that was
    read from files or the environment, as :class:`ReadConfig` has them.
    """

    def __init__(self, values: Mapping[str, Any], secrets: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.secrets = frozenset(secrets)
        self.holders: dict[str, tuple[str | os.PathLike[str], ...]] = {}

    def __repr__(self) -> str:
        return repr(without_secrets(dict(self), self.secrets))

    def __reduce__(self) -> tuple[type[ResolvedConfig], tuple[dict[str, Any], frozenset[str]]]:
        return type(self), (dict(self), self.secrets)

    def _refuse(self, *_arguments: Any, **_keywords: Any) -> NoReturn:
        raise TypeError("the config can't be changed; dict(self.config) gives a copy that can")

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = clear = update = setdefault = _refuse


def resolve_config(config: Mapping[str, Any], schema: Mapping[str, Any], *, validate: bool = True) -> ResolvedConfig:
    """Complete a config with the defaults of its schema, check it, and give it read-only.

    Formats (``date-time``) are not checked: users' configs hold dates of many forms that their tap understands.
    A setting at the top level that the schema does not know is warned of. Without ``validate`` nothing is checked.
    Errors: ``ConfigValidationError`` with every problem, each beginning with its path; never a value.
    """
    schema = _with_references(schema)
    completed = deepcopy(dict(config))
    _apply_defaults(completed, schema)
    if validate and (problems := config_problems(completed, schema)):
        raise ConfigValidationError("the config is not valid:", errors=problems, schema=dict(schema))
    _warn_of_unknown(completed, schema)
    resolved = ResolvedConfig(completed, secret_values(completed, schema))
    resolved.holders = dict(getattr(config, "holders", {}))
    return resolved


def _with_references(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if '"$ref"' not in json.dumps(schema, default=str):
        return schema
    from singerkit.schema.refs import resolve_references  # few configs have references

    return resolve_references(dict(schema))


def _apply_defaults(value: Any, schema: Any) -> None:
    """Fill in what is missing, in nested objects and in arrays too; an object that is missing is not made up."""
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        for name, member in (schema.get("properties") or {}).items():
            if isinstance(member, dict) and "default" in member and name not in value:
                value[name] = deepcopy(member["default"])
            if name in value:
                _apply_defaults(value[name], member)
    elif isinstance(value, list):
        for item in value:
            _apply_defaults(item, schema.get("items"))
    for part in schema.get("allOf") or ():
        _apply_defaults(value, part)


def _warn_of_unknown(config: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    known = list(schema.get("properties") or {})
    patterns = list(schema.get("patternProperties") or {})
    declared_open = "additionalProperties" in schema and schema["additionalProperties"] is not True
    for name in config:
        if name in known or declared_open or any(re.search(pattern, name) for pattern in patterns):
            continue
        _logger.warning("unknown setting '%s' is ignored%s", name, suggestion(name, known))
