"""The page of the documentation that shows the results; a test compares the two."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from listed import CONNECTORS, FOLDER, Connector

RESULTS = FOLDER / "results"
CONFIRMED = FOLDER / "confirmed.toml"
PAGE = FOLDER.parents[1] / "docs" / "reference" / "published-connectors.md"

HEAD = """\
# Published connectors

<!-- Written by `make world` from tests/world; change that instead. -->

`singerkit check` was run on connectors that anyone can install from PyPI and that need no account, and on those that
come with singerkit. This page is what came of it, {when}, with Python 3.11 on Linux. Newer versions may differ, and so
may another configuration: `tests/world/connectors.toml` has the exact ones, and `make world` runs it all again.

A failed *must* means that data or states can be lost, or that a program which follows the Singer specification can't
rely on the connector in this respect. The specification is short and leaves much open, so many rules are conclusions
from it (`singerkit check --explain TGT-100` gives source and reason). Several connectors promise less than the rules
ask for, and say so in their documentation: a failed rule is a fact about the interplay, not a verdict about the work of
others. Each failed must below was replayed by hand, and the sentence says what was seen. The connectors of singerkit
are developed with these very rules: that they break none is to be expected. The seconds are those of a busy machine
with two processors.

"""

ABSENT = """
## Not run

These were looked for and could not be checked:

"""


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")


def page(results: Path = RESULTS, confirmed: Path = CONFIRMED) -> str:
    """Make the page from the results that there are."""
    found = {name: _read(results / f"{name}.json") for name in CONNECTORS if (results / f"{name}.json").exists()}
    hand = tomllib.loads(confirmed.read_text("utf-8"))
    parts = [HEAD.format(when=_when(found)), *_table(found)]
    for name, result in found.items():
        parts += _section(CONNECTORS[name], result, hand.get(name, {}))
    parts += [ABSENT, *(f"- {name}: {why}\n" for name, why in hand["absent"].items())]
    return "".join(parts)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def _when(found: dict[str, dict[str, Any]]) -> str:
    months = sorted({result["checked"] for result in found.values()})
    return " to ".join(dict.fromkeys((months[0], months[-1])))


def _table(found: dict[str, dict[str, Any]]) -> list[str]:
    rows = [
        f"| {_linked(CONNECTORS[name], result)} | {result['version']} | {_sdk(CONNECTORS[name], result)} "
        f"| {result['counts']['fail']} | {result['counts']['warn']} | {_applied(result)} | {result['seconds']} |\n"
        for name, result in found.items()
    ]
    head = "| connector | version | SDK | musts failed | shoulds failed | rules applied | seconds |\n"
    return [head, "|---|---|---|--:|--:|--:|--:|\n", *rows]


def _linked(connector: Connector, result: dict[str, Any]) -> str:
    return f"[{title_of(connector)}](#{_anchor(connector)})" if _with_verdict(result, "fail") else title_of(connector)


def title_of(connector: Connector) -> str:
    """Give the name that people know: the package's, or singerkit's command."""
    return connector.command if connector.is_own else connector.name


def _sdk(connector: Connector, result: dict[str, Any]) -> str:
    return "singerkit" if connector.is_own else result["sdk"] or "none"


def _anchor(connector: Connector) -> str:
    return title_of(connector).replace(" ", "-")


def _applied(result: dict[str, Any]) -> str:
    total = len(result["rules"])
    return f"{total - result['counts']['skipped']} of {total}"


def _with_verdict(result: dict[str, Any], verdict: str) -> dict[str, dict[str, Any]]:
    return {rule: outcome for rule, outcome in result["rules"].items() if outcome["verdict"] == verdict}


def _section(connector: Connector, result: dict[str, Any], hand: dict[str, str]) -> list[str]:
    failed, unjudged = _with_verdict(result, "fail"), _with_verdict(result, "error")
    if not failed and not unjudged:
        return []
    note = f"Run {connector.note}.\n\n" if connector.note else ""
    findings = [_finding(rule, failed[rule], hand.get(rule)) for rule in failed]
    findings += [f"- {rule}, {outcome['title']}: {outcome['messages'][0]}\n" for rule, outcome in unjudged.items()]
    return [f"\n## {title_of(connector)}\n\n", note, *findings]


def _finding(rule: str, outcome: dict[str, Any], sentence: str | None) -> str:
    seen = (
        f"confirmed: {sentence}"
        if sentence
        else f"not yet looked at by hand; the harness says: {outcome['messages'][0]}"
    )
    return f"- **{rule}**, {outcome['title']}: {seen}\n"
