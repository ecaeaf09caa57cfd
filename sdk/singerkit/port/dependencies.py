"""Rewrites `pyproject.toml`: of PEP 621 and PEP 735 (uv, hatch, pdm and others), and of poetry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError

from singerkit.compat.packages import BROUGHT, CAME_ALONG, EXTRAS_OF_NAMES, NEW, OLD, OLDEST, PYTHON
from singerkit.errors import ConfigurationError
from singerkit.port.bounds import excludes
from singerkit.port.requirements import AT_LEAST, is_old_requirement, name_of, new_extras, new_requirement, normalized

_LOWER_BOUND = re.compile(r"(>=|\^|~=|~)\s*3\.(\d+)(\.\d+)*")
_EXTRAS = re.compile(r"\[[^\]]*\]")
_ANY_OLD = re.compile(r"\bsinger_sdk\b")


class Imported(NamedTuple):
    """What the connector's code asks for: modules of others, and names of singerkit, apart from its tests and there."""

    modules: frozenset[str]
    names: frozenset[str]
    test_names: frozenset[str]

    @property
    def extras(self) -> set[str]:
        """The extras of singerkit that the code needs."""
        extras = {EXTRAS_OF_NAMES[name] for name in self.names if name in EXTRAS_OF_NAMES}
        return extras | ({"sql"} if "sqlalchemy" in self.modules and self.names else set())


def port_pyproject(text: str, imported: Imported) -> str:
    """Give the document with singerkit in place of singer-sdk, and with what came along with it.

    Errors: ``ConfigurationError`` when it is not TOML.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigurationError(f"pyproject.toml: {error}") from None
    lists, tables = list(_lists(document)), list(_tables(document))
    if not _asks_for_old(lists, tables):
        return text
    declared = {normalized(name) for table in tables for name in table} | {
        name_of(str(item)) for items in lists for item in items
    }
    for items in lists:
        _port_list(items, imported)
    for table in tables:
        _port_table(table, imported)
    _add_undeclared(document, list(_undeclared(imported, declared)))
    _add_testing(document, lists, tables, imported)
    _raise_python(document)
    _drop_settings(document)
    return tomlkit.dumps(document)


def _asks_for_old(lists: Sequence[Any], tables: Sequence[Any]) -> bool:
    return any(is_old_requirement(str(item)) for items in lists for item in items) or any(
        OLD in table for table in tables
    )


def _at(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _lists(document: Any) -> Iterator[MutableSequence[Any]]:
    """Give the lists of requirements."""
    found = [_at(document, "project", "dependencies"), _at(document, "tool", "uv", "dev-dependencies")]
    for path in (("project", "optional-dependencies"), ("dependency-groups",), ("tool", "pdm", "dev-dependencies")):
        found += (_at(document, *path) or {}).values()
    for environment in (_at(document, "tool", "hatch", "envs") or {}).values():
        found += [_at(environment, "dependencies"), _at(environment, "extra-dependencies")]
    yield from (items for items in found if isinstance(items, MutableSequence))


def _tables(document: Any) -> Iterator[MutableMapping[str, Any]]:
    """Give poetry's tables of requirements."""
    poetry = _at(document, "tool", "poetry") or {}
    found = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
    found += [_at(group, "dependencies") for group in (poetry.get("group") or {}).values()]
    yield from (table for table in found if isinstance(table, MutableMapping))


def _port_list(items: MutableSequence[Any], imported: Imported) -> None:
    for index, item in enumerate(items):
        if isinstance(item, str) and is_old_requirement(item):
            items[index] = new_requirement(item, imported.extras)
        elif isinstance(item, str) and (raised := _raised(name_of(item), item.partition(";")[0])):
            extras = _EXTRAS.search(item)
            marker = item.partition(";")[2]
            items[index] = f"{name_of(item)}{extras[0] if extras else ''}{raised}{marker and ';' + marker}"


def _raised(name: str, constraint: str) -> str | None:
    """Give the constraint to replace one that allows no version which singerkit takes; ``None``: it may stay."""
    oldest = OLDEST.get(name)
    if oldest is None or not excludes(constraint, oldest):
        return None
    return f">={'.'.join(map(str, oldest))}"


def _port_table(table: MutableMapping[str, Any], imported: Imported) -> None:
    """Replace the entry in its place: the order is the author's."""
    for name, value in table.items():
        if isinstance(value, str) and (raised := _raised(normalized(name), value)):
            table[name] = raised
        elif isinstance(value, MutableMapping) and (raised := _raised(normalized(name), str(value.get("version", "")))):
            value["version"] = raised
    if OLD not in table:
        return
    given = table[OLD]
    extras = imported.extras | _extras_in(given)
    entries = [(NEW if name == OLD else name, value) for name, value in list(table.items())]
    for name in list(table):
        del table[name]
    for name, value in entries:
        table[name] = _poetry_requirement(extras) if name == NEW else value


def _extras_in(given: Any) -> set[str]:
    listed = given if isinstance(given, list) else [given]
    return {extra for each in listed if isinstance(each, Mapping) for extra in new_extras(each.get("extras") or ())}


def _poetry_requirement(extras: set[str]) -> Any:
    if not extras:
        return AT_LEAST
    made = tomlkit.inline_table()
    made.update({"version": AT_LEAST, "extras": sorted(extras)})
    return made


def _undeclared(imported: Imported, declared: set[str]) -> Iterator[str]:
    """Give the requirements of what is imported, not declared, and brought neither by singerkit nor by an extra."""
    for module in sorted(imported.modules - BROUGHT):
        requirement = CAME_ALONG.get(module)
        if requirement is None or name_of(requirement) in declared:
            continue
        if not (module == "sqlalchemy" and "sql" in imported.extras):
            yield requirement


def _add_undeclared(document: Any, requirements: Sequence[str]) -> None:
    if not requirements:
        return
    listed = _at(document, "project", "dependencies")
    if listed is not None:
        listed.extend(requirements)
        return
    table = _at(document, "tool", "poetry", "dependencies")
    for requirement in requirements if table is not None else ():
        name = name_of(requirement)
        table[name] = requirement[len(name) :]


def _add_testing(document: Any, lists: Sequence[Any], tables: Sequence[Any], imported: Imported) -> None:
    """Ask for the harness where the tests use it, and nothing asks for it yet."""
    if not imported.test_names or any("testing" in str(item) for item in _ours(lists, tables)):
        return
    groups = document.get("dependency-groups")
    if groups:
        name = next((name for name in ("test", "tests", "testing", "dev") if name in groups), next(iter(groups)))
        groups[name].append(f"{NEW}[testing]{AT_LEAST}")
    elif "dependencies" in (_at(document, "tool", "poetry") or {}):
        table = _at(document, "tool", "poetry", "dependencies")
        table[NEW] = _poetry_requirement(_extras_in(table[NEW]) | {"testing"} if NEW in table else {"testing"})
    else:
        items = _at(document, "project", "dependencies") or []
        for index, item in enumerate(items):
            if name_of(str(item)) == NEW:
                items[index] = _with_testing(str(item))


def _with_testing(requirement: str) -> str:
    return (
        requirement.replace("[", "[testing,", 1)
        if "[" in requirement
        else requirement.replace(NEW, f"{NEW}[testing]", 1)
    )


def _ours(lists: Sequence[Any], tables: Sequence[Any]) -> Iterator[Any]:
    yield from (item for items in lists for item in items if isinstance(item, str) and name_of(item) == NEW)
    yield from (table[NEW] for table in tables if NEW in table)


def _raise_python(document: Any) -> None:
    """Ask for a Python that singerkit runs on: resolvers look at the oldest one that is allowed."""
    for table, name in (
        (document.get("project"), "requires-python"),
        (_at(document, "tool", "poetry", "dependencies"), "python"),
    ):
        if isinstance(table, MutableMapping) and isinstance(table.get(name), str):
            raised = _LOWER_BOUND.sub(_at_least_ours, table[name])
            if raised != table[name]:
                table[name] = raised


def _at_least_ours(bound: re.Match[str]) -> str:
    if int(bound[2]) >= PYTHON[1]:
        return bound[0]
    operator = ">=" if bound[1] in {"~", "~="} else bound[1]
    return f"{operator}{PYTHON[0]}.{PYTHON[1]}"


def _drop_settings(document: Any) -> None:
    """Drop what names the SDK where it would no longer be found: warnings to ignore, places to take it from."""
    for path in (("tool", "pytest"), ("tool", "pytest", "ini_options")):
        warnings = _at(document, *path, "filterwarnings")
        if not isinstance(warnings, MutableSequence):
            continue
        for index in reversed(range(len(warnings))):
            if _ANY_OLD.search(str(warnings[index])):
                del warnings[index]
    sources = _at(document, "tool", "uv", "sources")
    if isinstance(sources, MutableMapping) and OLD in sources:
        del sources[OLD]
