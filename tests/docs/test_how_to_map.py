"""The page on stream maps: each config does what is shown below it, and the functions are those that there are.

``SINGERKIT_WRITE_DOCS=1`` writes the list of functions anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from singerkit.records.expression import _FUNCTIONS, _TIME_CONSTANTS, _TIME_FUNCTIONS
from singerkit.records.meter import METHODS

PAGE = Path(__file__).parents[2] / "docs/how-to/map-streams.md"
BLOCK = re.compile(r"^```(json|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BEGIN, END = "<!-- written by tests/docs/test_how_to_map.py -->\n", "<!-- end -->\n"


def functions_text():
    lines = [
        "",
        f"Functions: {listed(_FUNCTIONS)}.",
        "",
        f"Of times: {listed(_TIME_FUNCTIONS)}; {listed(_TIME_CONSTANTS)}.",
    ]
    lines += ["", "| methods of | |", "|---|---|"]
    lines += [f"| `{kind.__name__}` | {listed(sorted(methods))} |" for kind, methods in METHODS.items()]
    return "\n".join(lines) + "\n\n"


def listed(names):
    return ", ".join(f"`{name}`" for name in names)


def test_the_functions_are_those_that_there_are():
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    expected = head + BEGIN + functions_text() + END + rest.partition(END)[2]
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, "SINGERKIT_WRITE_DOCS=1 writes them"


def loaded(folder, messages, config):
    """Give the records that ``target-jsonl`` writes with a config."""
    folder.mkdir()
    (folder / "messages.jsonl").write_text(messages, encoding="utf-8")
    (folder / "config.json").write_text(config, encoding="utf-8")
    command = re.search(r"^\$ singerkit (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1]
    done = subprocess.run(
        f"'{sys.executable}' -m singerkit {command}", shell=True, cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    written = [path for path in folder.rglob("*.jsonl") if path.name != "messages.jsonl"]
    return [json.loads(line) for path in written for line in path.read_text().splitlines()]


def test_each_config_does_what_is_shown(tmp_path):
    (_, messages), *blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    configs = [content for _, content in blocks if not content.startswith(('{"id"', '{"city"'))]
    assert len(configs) == 8
    for number, config in enumerate(configs):
        found = loaded(tmp_path / str(number), messages, config)
        place = [content for _, content in blocks].index(config) + 1
        shown = blocks[place][1] if place < len(blocks) else ""
        if "fake" in config:
            assert found == loaded(tmp_path / "again", messages, config), "the seed makes runs alike"
            assert {record["name"] for record in found}.isdisjoint({"Anna", "Ben"})
        else:
            assert found == [json.loads(line) for line in shown.splitlines()], config
            assert len(shown.splitlines()) == len(found)
