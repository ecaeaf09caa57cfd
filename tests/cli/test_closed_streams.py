"""Plugins that are started, or called from Python, with stdin or stdout closed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = "import sys; from singerkit.cli.main import main; sys.argv[0] = 'singerkit'; main()"
MAPPER = str(Path(__file__).parents[1] / "connectors_for_tests" / "mapper_upper.py")
TARGET = "from singerkit.connectors.target_jsonl import TargetJSONL; target = TargetJSONL(config={}); "
COMMANDS = {
    "target-jsonl": [sys.executable, "-c", RUN, "target-jsonl"],
    "target-csv": [sys.executable, "-c", RUN, "target-csv"],
    "mapper": [sys.executable, MAPPER],
}


def started(command, redirection, folder):
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        input="",
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("plugin", COMMANDS)
@pytest.mark.parametrize(("redirection", "said"), [("<&-", "stdin is closed"), (">&-", "stdout is closed")])
def test_a_process_without_one_says_so(tmp_path, plugin, redirection, said):
    done = started(COMMANDS[plugin], redirection, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert [line.startswith("  help: ") for line in done.stderr.splitlines()] == [False, True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import sys; sys.stdin = None; target.listen()", "stdin is closed"),
        ("import sys; sys.stdin.close(); target.listen()", "stdin is closed"),
        ("import os; os.close(0); target.listen()", "stdin is closed"),
        ("import io; target.listen(io.BytesIO())", "the input is closed, or has no descriptor"),
        ("import sys; sys.stdout = None; target.listen()", "stdout is closed"),
        ("import sys; sys.stdout.close(); target.listen()", "stdout is closed"),
        ("import os; os.close(1); target.listen()", "stdout is closed"),
    ],
)
def test_a_call_without_one_raises_one_clear_error(tmp_path, before, said):
    done = started([sys.executable, "-c", TARGET + before], "", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"singerkit.errors.ConfigurationError: {said}")
