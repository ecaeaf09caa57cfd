"""Functions that a person names on a command line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from singerkit_testing.errors import HarnessError


def find_function(location: str) -> Callable[..., Any]:
    """Import the function that ``module:name`` stands for.

    Errors: ``HarnessError`` if there is none.
    """
    module, _, name = location.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # an installed command does not look there; the person who names a module does
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise HarnessError(f"{location} can't be imported as module:function: {error}") from error
    if not callable(function):
        raise HarnessError(f"{location} is no function")
    found: Callable[..., Any] = function
    return found
