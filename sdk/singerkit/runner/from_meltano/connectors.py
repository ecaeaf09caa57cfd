"""Plugins as taps, targets and mappers."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from singerkit.config.secrets import looks_secret, secret_values
from singerkit.runner.from_meltano.references import References, reference_to
from singerkit.runner.from_meltano.source import KINDS, Located, MeltanoSource

Leave = Callable[[Located, str, str, str], None]

#: What describes a plugin and needs no place: singerkit asks nothing of it, or the connector says it itself.
_DESCRIPTIONS = (
    frozenset(
        {"name", "inherit_from", "variant", "pip_url", "executable", "namespace", "config", "settings", "capabilities"}
    )
    | {"label", "description", "docs", "repo", "logo_url", "keywords", "hidden", "env", "python", "select", "metadata"}
    | {"schema", "catalog", "load_schema", "select_filter", "mappings", "dialect", "settings_group_validation"}
    | {"settings_preamble", "ext_repo", "maintenance_status", "quality", "domain_url", "definition", "hub"}
    | {"plugin_type", "usage", "next_steps", "target_schema", "annotations"}
)
_EXTRAS = ("select", "metadata", "schema", "catalog", "load_schema", "select_filter")
_WHY = {
    "commands": "singerkit runs taps and targets only",
    "state": "import it once: singerkit state import",
    "use_cached_catalog": "singerkit discovers anew in every run",
}


class Connectors:
    """The connectors of a Meltano project, converted.

    Shape: ``tables`` has ``taps``, ``targets``, ``mappers``, each by name. ``filters`` has the ``select_filter`` of
    taps and ``load_schemas`` their ``load_schema``, by the names of the taps.
    """

    def __init__(self, source: MeltanoSource, leave: Leave) -> None:
        self._source = source
        self._leave = leave
        self.tables: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS.values()}
        self.filters: dict[str, list[str]] = {}
        self.load_schemas: dict[str, str] = {}
        self._plugins = {
            (kind, plugin["name"]): plugin for kind in KINDS for plugin in source.plugins.get(kind, ()) if plugin
        }
        for (kind, name), plugin in self._plugins.items():
            self._add(kind, name, plugin)

    def _add(self, kind: str, name: str, plugin: Located) -> None:
        table = self._program(kind, plugin)
        if kind == "mappers":
            for mapping in plugin.get("mappings") or ():
                over = self.config(kind, name, plugin, mapping.get("config") or {})
                self.tables["mappers"][str(mapping["name"])] = {**table, "command": table.get("command", name), **over}
            return
        table |= self.config(kind, name, plugin, plugin.get("config") or {})
        self._add_settings(kind, plugin, table)
        if kind == "extractors":
            table |= self.extras(name, plugin)
            self._add_catalog_rules(plugin, table)
        for key in sorted(plugin.keys() - _DESCRIPTIONS):
            self._leave(plugin, key, f"{name}.{key}", _WHY.get(key, "it has no meaning here"))
        self.tables[KINDS[kind]][name] = table

    def parent(self, kind: str, plugin: Mapping[str, Any]) -> Located | None:
        """Give the plugin of the project that another one inherits from."""
        return self._plugins.get((kind, str(plugin.get("inherit_from"))))

    def _program(self, kind: str, plugin: Located) -> dict[str, Any]:
        """Give what is installed and run."""
        name = plugin["name"]
        definition = self._source.definition(kind, plugin)
        parent = self.parent(kind, plugin)
        address = plugin.get("pip_url") or ("" if parent else definition.get("pip_url") or "")
        executable = plugin.get("executable") or ("" if parent else definition.get("executable") or "")
        table: dict[str, Any] = {"inherits": parent["name"]} if parent else {}
        if address:
            words = [self._address(plugin, word, number) for number, word in enumerate(_requirements(address))]
            table["package"] = words[0] if len(words) == 1 else words
        elif not parent:
            why = f"no pip_url is known, so the program '{executable or name}' is looked for on PATH"
            self._leave(plugin, "name", name, why)
        if plugin.get("python"):
            table["python"] = str(plugin["python"])
        base = plugin.get("inherit_from") or name
        command = executable or ("" if parent else base)
        if command and command != name:
            table["command"] = command
        elif parent and not executable:
            table["command"] = self._command_of(kind, parent)
        if isinstance(plugin.get("env"), dict):
            table["environment"] = self.environment(plugin)
        return table

    def environment(self, owner: Located) -> dict[str, str]:
        """Give the variables that a plugin gets; a secret becomes a reference to the variable itself."""
        texts = {key: _text(value) for key, value in owner["env"].items() if value is not None}
        found: dict[str, str] = self._references(owner, f"{owner['name']}.env").convert(texts)
        for key, text in texts.items():
            if _is_secret(key, text) and "$" not in text:
                self._leave(owner, "env", f"{owner['name']}.env.{key}", "a secret: set it in .env or the environment")
                found[key] = reference_to(key)
        return found

    def _address(self, plugin: Located, requirement: str, number: int) -> str:
        """Give a requirement; a password or token in an address becomes a reference."""
        converted = str(self._references(plugin, f"{plugin['name']}.pip_url").convert(requirement))
        found = _CREDENTIALS.search(converted)
        if found is None or found[1] == "git" or "$" in found[1]:
            return converted
        variable = _variable(plugin["name"], f"package_{number}" if number else "package")
        why = f"credentials: set {variable} in .env or the environment"
        self._leave(plugin, "pip_url", f"{plugin['name']}.pip_url", why)
        return converted.replace(found[0], f"://{reference_to(variable)}@")

    def _command_of(self, kind: str, plugin: Located) -> str:
        if (parent := self.parent(kind, plugin)) and not plugin.get("executable"):
            return self._command_of(kind, parent)
        definition = self._source.definition(kind, plugin)
        return str(
            plugin.get("executable") or definition.get("executable") or plugin.get("inherit_from") or plugin["name"]
        )

    def config(self, kind: str, name: str, owner: Located, config: Mapping[str, Any]) -> dict[str, Any]:
        """Give a plugin's config as ``{"config": ...}``, or nothing; a secret becomes a reference to its variable."""
        plugin = self._plugins.get((kind, name), owner)
        kinds = {setting["name"]: setting for setting in self._settings(kind, plugin)}
        nested: dict[str, Any] = {}
        for key, value in config.items():
            if value is not None and not key.startswith("_"):
                value = _without_nulls(value) if key.startswith("stream_maps") else value
                _nest(nested, key, self._value(name, owner, config, key, value, kinds.get(key, {})))
        return {"config": nested} if nested else {}

    def _value(
        self, name: str, owner: Located, config: Mapping[str, Any], key: str, value: Any, setting: Mapping[str, Any]
    ) -> Any:
        """Give a setting's value; secrets in it, at any depth, become references."""
        if isinstance(value, dict):
            return {
                member: self._value(name, owner, value, f"{key}.{member}", part, {})
                for member, part in value.items()
                if part is not None
            }
        if isinstance(value, list):
            return [
                self._value(name, owner, config, f"{key}.{index}", item, setting)
                for index, item in enumerate(value)
                if item is not None
            ]
        is_secret = setting.get("kind") == "password" or setting.get("sensitive") or _is_secret(key, value)
        if is_secret and not isinstance(value, bool) and "$" not in str(value):
            return self._secret(name, owner, config, key)
        return self._references(owner, f"{name}.config.{key}").convert(value, str(setting.get("kind") or ""))

    def _secret(self, name: str, owner: Located, holder: Mapping[str, Any], key: str) -> str:
        variable = _variable(name, key)
        known = holder if isinstance(holder, Located) and holder.lines else owner
        place = key if key in known.lines else key.rpartition(".")[2]
        self._leave(known, place, f"{name}.config.{key}", f"a secret: set {variable} in .env or the environment")
        return reference_to(variable)

    def _add_settings(self, kind: str, plugin: Located, table: dict[str, Any]) -> None:
        """Add what Meltano gives without being told in the config: defaults, and what variables hold."""
        name = plugin["name"]
        said = plugin.get("config") or {}
        known = set()
        for setting in self._settings(kind, plugin):
            key = str(setting["name"])
            known.add(_variable(name, key))
            if key in said or key.startswith("_"):
                continue
            is_own = setting.get("env") and not self.parent(kind, plugin)  # else it is inherited
            names = [str(setting["env"])] if is_own else []
            variable = next((found for found in (*names, _variable(name, key)) if self._is_set(found)), None)
            if variable:
                _nest(table.setdefault("config", {}), key, reference_to(variable, str(setting.get("kind") or "")))
            elif setting.get("value") is not None and not self.parent(kind, plugin):
                default = self._references(plugin, f"{name}.settings.{key}").convert(
                    setting["value"], str(setting.get("kind") or "")
                )
                _nest(table.setdefault("config", {}), key, default)
        self._add_unknown_variables(plugin, table, known)

    def _add_unknown_variables(self, plugin: Located, table: dict[str, Any], known: set[str]) -> None:
        """Where a plugin's settings are not known, the names of variables tell which there are."""
        prefix = _variable(plugin["name"], "")
        for variable in sorted(self._source.variables):
            if variable.startswith(prefix) and not variable.startswith(f"{prefix}_") and variable not in known:
                key = variable.removeprefix(prefix).lower()
                if any(_variable(plugin["name"], said) == variable for said in plugin.get("config") or ()):
                    continue
                _nest(table.setdefault("config", {}), key, reference_to(variable))
                what = f"{plugin['name']}.config.{key}"
                self._leave(plugin, "name", what, f"made of the variable {variable}: check the setting's name and type")

    def _is_set(self, variable: str) -> bool:
        return variable in self._source.variables or variable in os.environ

    def _settings(self, kind: str, plugin: Located) -> Iterator[Mapping[str, Any]]:
        parent = self.parent(kind, plugin)
        own = plugin.get("settings") or ()
        inherited = self._settings(kind, parent) if parent else self._source.definition(kind, plugin).get("settings")
        named = set()
        for setting in (*own, *(inherited or ())):
            if isinstance(setting, dict) and setting.get("name") and setting["name"] not in named:
                named.add(setting["name"])
                yield setting

    def extras(self, name: str, owner: Located) -> dict[str, Any]:
        """Give what a tap's catalog is made of; keeps the ``select_filter`` and the ``load_schema`` for pipelines."""
        config = owner.get("config") or {}
        found = {key: owner[key] for key in _EXTRAS if owner.get(key) is not None}
        found |= {key: config[f"_{key}"] for key in _EXTRAS if config.get(f"_{key}") is not None}
        found |= {key: _unflattened(config, f"_{key}.") for key in _EXTRAS if _unflattened(config, f"_{key}.")}
        self.filters |= {name: [str(rule) for rule in found["select_filter"]]} if found.get("select_filter") else {}
        self.load_schemas |= {name: str(found["load_schema"])} if "load_schema" in found else {}
        table: dict[str, Any] = {}
        if "select" in found:
            table["select"] = [str(rule) for rule in found["select"]]
            for rule in table["select"]:
                if re.search(r"(?<!\\)\..*[*?\[].*(?<!\\)\.", rule) and not rule.startswith("!"):
                    why = "a wildcard above another name takes only what leads to it; Meltano takes all beside it too"
                    self._leave(owner, "select", f"{name}.select '{rule}'", why)
        for key in ("metadata", "schema"):
            if isinstance(found.get(key), dict):
                table[key] = {stream: _nested(facts) for stream, facts in found[key].items()}
        if "catalog" in found:
            table["catalog"] = str(found["catalog"])
        return table

    def _add_catalog_rules(self, plugin: Located, table: dict[str, Any]) -> None:
        """Say what Meltano takes for granted: everything is selected; an old tap gets ``--properties``."""
        parent = self.parent("extractors", plugin)
        capabilities = plugin.get("capabilities") or self._source.definition("extractors", plugin).get("capabilities")
        can_select = not capabilities or "catalog" in capabilities or "properties" in capabilities
        if "select" not in table and "catalog" not in table and not parent and can_select:
            table["select"] = ["*.*"]
        if capabilities and "properties" in capabilities and "catalog" not in capabilities:
            table["catalog_option"] = "--properties"

    def namespace(self, name: str) -> str:
        """Give the namespace of a tap, which is the schema that its data is loaded into."""
        plugin = self._plugins.get(("extractors", name))
        if plugin is None:
            return name.replace("-", "_")
        if (parent := self.parent("extractors", plugin)) and not plugin.get("namespace"):
            return self.namespace(parent["name"])
        found = plugin.get("namespace") or self._source.definition("extractors", plugin).get("namespace")
        return str(found or name.replace("-", "_"))

    def _references(self, owner: Located, what: str) -> References:
        def unknown(variable: str) -> None:
            self._leave(owner, what.split(".")[-1], what, f"{variable} is Meltano's own: set it, or write the value")

        return References(
            {key: value for key, value in self._source.env.items() if not _is_secret(key, value)}, unknown
        )


_CREDENTIALS = re.compile(r"://([^/@\s]+)@")


def _is_secret(name: str, value: Any) -> bool:
    """Tell by its name, or by a password in a URL, whether a value must not be shown."""
    return looks_secret(name) or bool(secret_values({"x": value}, {}))


def _requirements(address: str) -> list[str]:
    """Split what pip is given into requirements: ``NAME @ URL``, ``-e PATH`` and ``NAME ; CONDITION`` are one each."""
    requirements: list[str] = []
    is_joined = False
    for word in shlex.split(address):
        if requirements and (is_joined or word in ("@", ";")):
            requirements[-1] += f" {word}"
        else:
            requirements.append(word)
        is_joined = word in ("@", "-e", "--editable") or ";" in requirements[-1]
    return requirements


def _variable(plugin: str, setting: str) -> str:
    """Give the variable that Meltano reads a setting from."""
    return re.sub(r"[^A-Za-z0-9]", "_", f"{plugin}_{setting}").upper()


def _without_nulls(stream_maps: Any) -> Any:
    """Write null, by which a stream map removes something, as the text that says the same: TOML has no null."""
    if isinstance(stream_maps, dict):
        return {name: _without_nulls(member) for name, member in stream_maps.items()}
    return "__NULL__" if stream_maps is None else stream_maps


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nest(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a setting whose name may have dots: ``auth.user`` is ``user`` in ``auth``."""
    *above, last = key.split(".")
    for name in above:
        below = table.setdefault(name, {})
        table = below if isinstance(below, dict) else table
    table[last] = value


def _nested(facts: Any) -> Any:
    if not isinstance(facts, dict):
        return facts
    nested: dict[str, Any] = {}
    for key, value in facts.items():
        _nest(nested, key, value)
    return nested


def _unflattened(config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return _nested({key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)})  # type: ignore[no-any-return]
