"""`--about`: what a plugin is, what it can do, and its settings, as text, JSON or Markdown."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from sys import stderr
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from singerkit.cli.plugin import PluginClass
    from singerkit.types import Schema


class Setting(NamedTuple):
    """One setting, as the texts show it; a nested one has a dotted name and no variable."""

    name: str
    types: str
    is_required: bool
    is_secret: bool
    default: str
    description: str
    variable: str


def about_text(plugin_class: PluginClass, form: str) -> str:
    """Give the description of a plugin class in the form ``text``, ``json`` or ``markdown``."""
    with redirect_stdout(stderr):  # what an author's class property prints is no part of it
        about = about_of(plugin_class)
    return _FORMS[form](about)


def about_of(plugin_class: PluginClass) -> dict[str, Any]:
    """Give what runners and catalogs of connectors read: the keys have established names."""
    return {
        "name": plugin_class.name,
        "description": _paragraph(plugin_class.__doc__),
        "version": plugin_class.plugin_version,
        "sdk_version": plugin_class.sdk_version,
        "supported_python_versions": getattr(plugin_class, "supported_python_versions", None),
        "capabilities": [str(capability) for capability in plugin_class.capabilities],
        "settings": plugin_class.settings_schema(),
    }


def _version_text(version: str) -> str:
    """Give a version for a person: that of a file that is run by itself is known to nobody."""
    return "without a version" if version.startswith("[") else f"v{version}"


def _paragraph(doc: str | None) -> str | None:
    return " ".join((doc or "").strip().partition("\n\n")[0].split()) or None


def settings_of(name: str, schema: Mapping[str, Any]) -> Iterator[Setting]:
    """Give every setting of a plugin, nested ones after the one that they are in."""
    prefix = name.upper().replace("-", "_") + "_"
    for path, setting, is_required in _members(schema):
        is_secret = bool(setting.get("secret") or setting.get("writeOnly"))
        has_default = setting.get("default") is not None and not is_secret
        yield Setting(
            name=".".join(path),
            types=_types(setting),
            is_required=is_required,
            is_secret=is_secret,
            default=json.dumps(setting["default"], ensure_ascii=False) if has_default else "",
            description=" ".join(str(setting.get("description") or "").split()),
            variable=prefix + path[0].upper().replace("-", "_") if len(path) == 1 else "",
        )


def _members(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema, bool]]:
    required = schema.get("required") or ()
    for name, member in (schema.get("properties") or {}).items():
        if isinstance(member, dict):
            yield (*path, name), member, name in required
            yield from _members(member, (*path, name))
            if isinstance(member.get("items"), dict):
                yield from _members(member["items"], (*path, f"{name}[]"))


def _types(setting: Mapping[str, Any]) -> str:
    named = setting.get("type", ())
    types = [named] if isinstance(named, str) else [name for name in named if name != "null"]
    return " or ".join(types) or "any"


def _as_json(about: Mapping[str, Any]) -> str:
    return json.dumps(about, indent=2, default=str)


def _as_text(about: Mapping[str, Any]) -> str:
    lines = [
        f"{about['name']} {_version_text(about['version'])} (singerkit v{about['sdk_version']})",
        *([about["description"]] if about["description"] else []),
        "",
        f"Capabilities: {', '.join(about['capabilities'])}",
        "",
        "Settings:",
    ]
    for setting in settings_of(about["name"], about["settings"]):
        if setting.variable:
            lines += _setting_lines(setting)
    return "\n".join(lines)


def _setting_lines(setting: Setting) -> list[str]:
    facts = [setting.types, "required" if setting.is_required else "", "secret" if setting.is_secret else ""]
    facts += [f"default {setting.default}" if setting.default else "", f"env {setting.variable}"]
    description = [f"      {setting.description}"] if setting.description else []
    return [f"  {setting.name}  ({', '.join(fact for fact in facts if fact)})", *description]


def _as_markdown(about: Mapping[str, Any]) -> str:
    rows = [_row(setting) for setting in settings_of(about["name"], about["settings"])]
    lines = [
        f"# `{about['name']}`",
        "",
        *([about["description"], ""] if about["description"] else []),
        "## Capabilities",
        "",
        *(f"- `{capability}`" for capability in about["capabilities"]),
        "",
        "## Settings",
        "",
        "| Setting | Type | Required | Default | Description |",
        "|:--------|:-----|:--------:|:--------|:------------|",
        *rows,
        "",
        f"Each setting at the top level can come from an environment variable: see `{about['name']} --about`.",
    ]
    return "\n".join(lines)


def _row(setting: Setting) -> str:
    default = f"`{setting.default}`" if setting.default else ""
    required = "yes" if setting.is_required else ""
    kind = f"{setting.types} (secret)" if setting.is_secret else setting.types
    cells = (f"`{setting.name}`", kind, required, default, setting.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "text": _as_text,
    "json": _as_json,
    "markdown": _as_markdown,
}
