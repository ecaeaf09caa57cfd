"""What tests of the runner share."""

from __future__ import annotations

import pytest
from plain_programs import Bench


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()
