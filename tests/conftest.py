"""What tests of every layer share: the settings of hypothesis, and the connectors written for tests."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# Times differ from machine to machine: no deadline. Few examples keep the run short; `--hypothesis-profile=long`.
settings.register_profile("short", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("short"), max_examples=2000)
settings.load_profile("short")

sys.path.insert(0, str(Path(__file__).parent / "connectors_for_tests"))
