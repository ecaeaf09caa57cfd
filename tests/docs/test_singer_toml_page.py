"""The reference of singer.toml: its examples run, and its settings are those of the schema.

``SINGERKIT_WRITE_DOCS=1`` writes them, and the published schema, anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from singerkit.runner.project import load_project
from singerkit.runner.project.interpolate import Interpolation
from singerkit.runner.project.json_schema import project_schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference/singer-toml.md"
HEADING = "## Settings\n"
TABLES = {
    "[taps.NAME]": "Tap",
    "[targets.NAME]": "Target",
    "[mappers.NAME]": "Mapper",
    "[pipelines.NAME]": "Pipeline",
    "[state]": "State",
    "[notify.NAME]": "Notification",
    "[env.NAME]": "Environment",
}


def settings_text():
    definitions = project_schema()["$defs"]
    common = {*definitions["Target"]["properties"]}
    lines = []
    for table, name in TABLES.items():
        lines += [f"### `{table}`", "", definitions[name]["description"], ""]
        properties = definitions[name]["properties"]
        if name in ("Target", "Mapper"):
            lines += [f"Settings as of a tap: {', '.join(f'`{each}`' for each in sorted(common))}.", ""]
            continue
        lines += ["| setting | type | |", "|---|---|---|"]
        for key, said in properties.items():
            said = {**definitions.get(str(said.get("$ref")).rpartition("/")[2], {}), **said}
            lines.append(f"| `{key}` | {type_text(said)} | {escaped(said['description'])}{extras(said)} |")
        lines.append("")
    return "\n".join(lines)


def type_text(said):
    if "enum" in said:
        return " or ".join(f"`{value}`" for value in said["enum"])
    if "anyOf" in said:
        kinds = list(dict.fromkeys(type_text(part) for part in said["anyOf"]))
        return "duration" if "pattern" in str(said["anyOf"]) else " or ".join(kinds)
    kind = said["type"]
    if kind == "array":
        return f"list of {type_text(said['items'])}" if "enum" in said["items"] else f"list of {said['items']['type']}s"
    return {"object": "table"}.get(kind, kind)


def extras(said):
    default = f" Default: `{json.dumps(said['default'])}`." if "default" in said else ""
    example = f" Example: `{toml(said['examples'][0])}`." if "examples" in said else ""
    return default + escaped(example)


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(member)}" for key, member in value.items()) + " }"
    return f"[{', '.join(map(toml, value))}]" if isinstance(value, list) else json.dumps(value)


def escaped(text):
    return text.replace("|", "\\|")


def test_the_settings_are_those_of_the_schema():
    written = PAGE.read_text(encoding="utf-8")
    head, _, _ = written.partition(HEADING)
    durations = "A duration is a number of seconds, or `90s`, `15m`, `2h`, `1d`, `1h30m`.\n"
    expected = f"{head}{HEADING}\n{durations}\n{settings_text()}"
    schema = json.dumps(project_schema(), indent=2) + "\n"
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(expected, encoding="utf-8")
        (DOCS / "_static/singer.schema.json").write_text(schema, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, "SINGERKIT_WRITE_DOCS=1 writes them"
    assert (DOCS / "_static/singer.schema.json").read_text(encoding="utf-8") == schema


def blocks(language, page):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(command, folder):
    tools = f"singerkit() {{ '{sys.executable}' -m singerkit \"$@\"; }}; "
    return subprocess.run(["bash", "-c", tools + command], cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_example_runs_as_shown(tmp_path):
    (tmp_path / "singer.toml").write_text(blocks("toml", PAGE)[0])
    (tmp_path / "orders.csv").write_text("id,note,total\n1,x,2\n")
    for line in blocks("console", PAGE)[0].splitlines():
        done = run(line.removeprefix("$ "), tmp_path)
        assert done.returncode == 0, done.stderr
    assert [json.loads(path.read_text()) for path in tmp_path.glob("*/orders*.jsonl")] == [
        {"id": "1", "total": "2"}
    ] * 2
    assert load_project(tmp_path / "singer.toml", "prod").state_key("orders") == "prod:orders"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "7"),
        ("${NONE:-default}", "default"),
        ("${file:path}", "text"),
        ("${NAME:integer}", 7),
        ("$${", "${"),
    ],
)
def test_the_references_are_as_in_the_table(text, value, tmp_path):
    (tmp_path / "path").write_text("text\n")
    assert f"`{text}`" in PAGE.read_text(encoding="utf-8") or "default" in text
    assert Interpolation({"NAME": "7"}, tmp_path).of(text, "x").value == value
