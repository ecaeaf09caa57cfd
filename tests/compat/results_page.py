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

{all} connectors that anyone can install from PyPI were moved by `singerkit port`, with no edit by hand, and compared
with themselves. **{tested} of them come with tests that run offline; {kept} of these pass them all as before**
({before} tests in all, {after} of which pass after). Of the other {untested}, {untested_same} start as before, with the
same settings and, where discovery needs no account, the same catalog. Tried {when} with Python 3.11 on Linux;
`make test-port` does it again.

*Tests* are those of the connector's own source archive that passed before on a machine without access to any API.
*Streams* are compared with their properties, types, keys and replication methods. *By hand* is what the command lists
for a person to look at. *Same* is what is the same in everything that was compared.

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
    tested = [result for result in found.values() if result["tests"]["before"]]
    untested = [result for result in found.values() if not result["tests"]["before"]]
    head = HEAD.format(
        all=len(found),
        tested=len(tested),
        kept=sum(not result["tests"]["lost"] for result in tested),
        before=sum(result["tests"]["before"] for result in tested),
        after=sum(result["tests"]["after"] for result in tested),
        untested=len(untested),
        untested_same=sum(result["same"] for result in untested),
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
    """Say what is different, of a connector for which something is."""
    if result["same"]:
        return ""
    about, discover = result["about"], result["discover"]
    lines = [f"- {_escaped(each)}\n" for each in result["by_hand"]]
    lines += [f"- test `{test}`: {_escaped(said)}\n" for test, said in result["tests"]["lost"].items()]
    if about is None:
        lines.append("- it does not start as it was published, so there is nothing to compare\n")
    elif not about["works"]:
        lines.append("- it does not start before that is done\n")
    elif about["missing"]:
        lines.append(f"- settings that are missing: {_escaped(', '.join(about['missing']))}\n")
    if discover and discover["different"] and about and about["works"]:
        lines.append(f"- streams that differ: {_escaped(', '.join(discover['different']))}\n")
    note = f"{CONNECTORS[name].note}\n\n" if CONNECTORS[name].note else ""
    return f"\n## {name}\n\n{note}{''.join(lines)}"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "_*[]<>`|$" else character for character in text)
