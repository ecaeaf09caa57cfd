"""The page on architecture names every part, in the order of the layers that are checked."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.compile(r"^\| [a-z][^|]*\| (`[^|]*)\|", re.MULTILINE)
NAME = re.compile(r"`(\w+)/?`")


def test_every_part_is_on_the_page_in_the_order_of_the_layers():
    page = (ROOT / "docs/explanation/architecture.md").read_text("utf-8").split("## Where a line")[0]
    shown = [NAME.findall(cell) for cell in ROWS.findall(page)]
    parts = {path.stem for path in (ROOT / "sdk/singerkit").iterdir() if not path.name.startswith(("_", "py.typed"))}
    parts -= {"plugins"}  # what taps, targets and mappers share; nobody subclasses it
    assert parts <= {name for row in shown for name in row}
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]
    layer_of = {
        name: depth for depth, layer in enumerate(contract["layers"]) for name in re.findall(r"singerkit\.(\w+)", layer)
    }
    depths = [[layer_of[name] for name in row if name in layer_of] for row in shown]
    assert all(max(above) < min(below) for above, below in pairwise(depths)), depths
