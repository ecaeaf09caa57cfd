"""The benchmark runs and gives its figures; what they are is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent
TINY = ("--records", "300", "--parents", "20", "--repeats", "1", "--no-install")
SDK_ROWS = "tap,tap-incremental,rest,target,target-spaced,pipe,help,about,memory,parents,parents-incremental"


def run_benchmark(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, BENCHMARKS, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("benchmark") / "figures.json"
    result = run_benchmark(*TINY, "--only", SDK_ROWS, "--json", file)
    assert file.exists(), result.stdout + result.stderr
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


@pytest.mark.parametrize("row", SDK_ROWS.split(","))
def test_row_has_figures_and_every_side_did_its_work(document: dict[str, Any], row: str) -> None:
    result = document["rows"][row]
    assert result["failures"] == []
    assert result["lines"]
    assert all(isinstance(line["ours"]["median"], float) for line in result["lines"])


@pytest.mark.parametrize("row", ["tap", "rest", "target", "pipe", "help", "memory"])
def test_row_compares_with_singer_sdk(document: dict[str, Any], row: str) -> None:
    if "singer-sdk" not in document["versions"]:
        pytest.skip("the environment of singer-sdk has not been made: run `python tests/benchmarks/` once")
    line = document["rows"][row]["lines"][0]
    assert isinstance(line["theirs"]["median"], float)
    assert line["ratio"] > 0


def test_only_the_rows_asked_for_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert run_benchmark(*TINY, "--side", "singerkit", "--only", "help", "--json", file).returncode == 0
    assert list(json.loads(file.read_text())["rows"]) == ["help"]


@pytest.mark.parametrize("row", ["sqlite", "jsonl"])
def test_loading_row_stores_every_record_and_has_figures(tmp_path: Path, row: str) -> None:
    file = tmp_path / "figures.json"
    result = run_benchmark(*TINY, "--side", "singerkit", "--only", row, "--json", file)
    assert result.returncode == 0, result.stdout + result.stderr
    measured = json.loads(file.read_text())["rows"][row]
    assert measured["failures"] == []
    rate, _, peak = measured["lines"]
    assert (rate["unit"], peak["unit"]) == ("records per CPU second", "MB")
    assert rate["ours"]["median"] > 0
    assert peak["ours"]["median"] > 0
    assert rate["theirs"] is None


def test_unknown_row_is_refused_with_the_names_there_are() -> None:
    result = run_benchmark("--only", "tap,tpa")
    assert result.returncode == 2
    assert "no such row: tpa; there are tap, tap-incremental" in result.stderr
