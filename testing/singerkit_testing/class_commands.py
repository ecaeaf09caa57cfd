"""The command that runs a connector class in a process of its own: what its console script would do."""

from __future__ import annotations

import inspect
import os
import sys
from importlib import util
from pathlib import Path

from singerkit_testing.errors import HarnessError

_BY_NAME = "from {module} import {name}; {name}.cli()"
# A test module, or a script, that can't be imported by its name.
_BY_FILE = (
    "import sys; from importlib import util; spec = util.spec_from_file_location({module!r}, {file!r}); "
    "module = util.module_from_spec(spec); sys.modules[{module!r}] = module; spec.loader.exec_module(module); "
    "module.{name}.cli()"
)


def command_of(connector_class: type) -> list[str]:
    """Give the words that run a class; see `environment_of` for what they need around them.

    Errors: ``HarnessError`` for a class that another process can't import: one that is made inside a function.
    """
    name, module = connector_class.__qualname__, connector_class.__module__
    if not name.isidentifier():
        raise HarnessError(f"{name} has to stand at the top of its module to be run by itself")
    try:
        file = str(Path(inspect.getfile(connector_class)).absolute())
    except (TypeError, OSError) as error:
        raise HarnessError(f"{name} is in no file, so it can't be run by itself") from error
    by_name = module != "__main__" and _is_found(module, file)
    code = (_BY_NAME if by_name else _BY_FILE).format(module=module, name=name, file=file)
    return [sys.executable, "-c", code]


def environment_of() -> dict[str, str | None]:
    """Give the variables with which that command finds the modules that this process finds."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def _is_found(module: str, file: str) -> bool:
    loaded = sys.modules.pop(module, None)  # else the answer would be what is loaded, wherever it came from
    try:
        spec = util.find_spec(module)
    except (ImportError, ValueError):
        return False
    finally:
        if loaded is not None:
            sys.modules[module] = loaded
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == Path(file).resolve()
