"""The page of the documentation that shows the results; a test compares the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from published import CONNECTORS, FOLDER

RESULTS = FOLDER / "results"
PAGE = FOLDER.parents[1] / "docs" / "reference" / "ported-connectors.md"

HEAD = """\
# Ported connectors

<!-- Written by `make test-port` from tests/compat; change that instead. -->

Connectors that anyone can install from PyPI were moved by `singerkit port`, with no edit by hand, and compared with
themselves: their own tests that pass offline, their settings (`--about`) and, where discovery needs no account, their
catalog. {same} of {all} do all of it as before. Tried {when} with Python 3.11 on Linux; `make test-port` does it again.

*Tests* are those that passed before, on a machine without access to any API; *by hand* is what the command lists for a
person to look at. Where the published archive has no tests, import, settings and catalog are what is compared.

"""

TABLE = """\
| connector | kind | singer-sdk | tests before | after | settings | streams | by hand | same |
|---|---|---|--:|--:|--:|--:|--:|---|
"""


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


def page(results: Path = RESULTS) -> str:
    """Make the page from the results that there are."""
    found = {
        name: json.loads((results / f"{name}.json").read_text("utf-8"))
        for name in CONNECTORS
        if (results / f"{name}.json").exists()
    }
    when = sorted({result["tried"] for result in found.values()})
    head = HEAD.format(
        same=sum(result["same"] for result in found.values()),
        all=len(found),
        when=" to ".join(dict.fromkeys(when[:1] + when[-1:])),
    )
    rows = [_row(name, result) for name, result in found.items()]
    return head + TABLE + "".join(rows) + "".join(_section(name, result) for name, result in found.items())


def _row(name: str, result: dict[str, Any]) -> str:
    tests, about, discover = result["tests"], result["about"], result["discover"]
    cells = [
        f"{name} {result['version']}",
        CONNECTORS[name].kind,
        result["sdk"],
        tests["before"] or "none",
        tests["after"] if tests["before"] else "",
        "" if about is None else about["settings"] - len(about["missing"]) if about["works"] else "fails",
        "" if discover is None else discover["streams"],
        len(result["by_hand"]) or "",
        "yes" if result["same"] else "no",
    ]
    return f"| {' | '.join(map(str, cells))} |\n"


def _section(name: str, result: dict[str, Any]) -> str:
    lines = [f"- {_escaped(each)}\n" for each in result["by_hand"]]
    lines += [f"- test `{test}`: {_escaped(said)}\n" for test, said in result["tests"]["lost"].items()]
    if result["discover"] and result["discover"]["different"]:
        lines.append(f"- streams that differ: {', '.join(result['discover']['different'])}\n")
    if result["about"] and result["about"]["missing"]:
        lines.append(f"- settings that are missing: {', '.join(result['about']['missing'])}\n")
    note = f"{CONNECTORS[name].note}\n\n" if CONNECTORS[name].note else ""
    return f"\n## {name}\n\n{note}{''.join(lines)}" if lines or note else ""


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "_*[]<>`|$" else character for character in text)
