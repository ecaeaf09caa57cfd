"""Running one of many programs of a file: `python broken_taps.py log_on_stdout --config config.json`."""

from __future__ import annotations

import re
import sys
from typing import Any


def name_of(kind: str) -> str:
    """`LogOnStdout` is called `log_on_stdout`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def programs_in(names: dict[str, Any], reference: type) -> dict[str, type]:
    """The programs of a file, by name: each class of it that differs from the reference."""
    kinds = {name: kind for name, kind in names.items() if isinstance(kind, type) and issubclass(kind, reference)}
    return {name_of(name): kind for name, kind in kinds.items() if kind.__module__ == names["__name__"]}


def run(programs: dict[str, type], main: Any) -> int:
    name, *arguments = sys.argv[1:] or [""]
    if name not in programs:
        print(f"name one of: {', '.join(programs)}", file=sys.stderr)
        return 2
    return main(programs[name](), arguments)
