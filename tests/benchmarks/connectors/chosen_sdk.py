"""The one place where the two SDKs differ: `BENCHMARK_SDK` names the package that the connectors are built with."""

from __future__ import annotations

import importlib
import os
from typing import Any

_package = os.environ["BENCHMARK_SDK"]
# Nothing is imported that a connector would not import: start-up is one of the figures.
sdk: Any = importlib.import_module(_package)
th: Any = importlib.import_module(f"{_package}.typing")
