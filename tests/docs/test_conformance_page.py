"""What the page about the harness tells people to type or to copy is what the harness takes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs/how-to/check-a-connector.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


WORKFLOW: dict[str, Any] = yaml.safe_load(blocks("yaml")[0])
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["singer"]["steps"]


def commands(text: str) -> list[list[str]]:
    """The commands of a script, as words; a line that ends with a backslash goes on in the next."""
    return [shlex.split(line.removeprefix("$ ")) for line in text.replace("\\\n", " ").splitlines()]


SHOWN = [command for block in blocks("console") for command in commands(block)]
SCRIPTS = [command for step in STEPS for command in commands(step.get("run", ""))]
CHECKS = [command for command in [*SHOWN, *SCRIPTS] if command[:2] == ["singerkit", "check"]]
TESTS = [command for command in SHOWN if command[0] == "pytest"]


def test_the_page_shows_them():
    assert len(CHECKS) >= 5
    assert len(TESTS) >= 2
    assert all(command in (*CHECKS, *TESTS) for command in SHOWN)


@pytest.mark.parametrize("command", CHECKS, ids=" ".join)
def test_each_check_is_a_valid_call(command):
    words = [sys.executable, "-m", "singerkit", *command[1:], "--list"]  # it parses everything, and lists the rules
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", TESTS, ids=" ".join)
def test_each_option_of_pytest_is_one(command):
    done = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, timeout=60)

    assert {word for word in command if word.startswith("--")} <= set(re.findall(r"--[\w-]+", done.stdout))


def test_the_workflow_is_one():
    assert set(WORKFLOW) == {"name", True, "permissions", "jobs"}  # YAML reads `on` as true, as ever
    assert all(("uses" in step) != ("run" in step) for step in STEPS)
    assert any(str(step.get("uses")).startswith("actions/upload-artifact@") for step in STEPS)


def test_the_workflow_uses_the_files_that_it_made(tmp_path):
    (check,) = (command for command in SCRIPTS if command[:2] == ["singerkit", "check"])
    made = {path for option, path in pairwise(check) if option == "--report"}
    used = {word for command in SCRIPTS if command is not check for word in command if word.startswith("reports/")}

    assert used <= made
    assert {Path(path).suffix for path in made} >= {".html", ".xml", ".md"}
    assert any(path.endswith("badge.json") for path in used)


def test_the_test_class_of_a_mapper_runs(tmp_path):
    (code,) = (block for block in blocks("python") if "get_mapper_test_class" in block)
    (tmp_path / "test_mapper.py").write_text(code)
    shutil.copy(Path(__file__).parents[1] / "connectors_for_tests" / "mapper_upper.py", tmp_path)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not conformance"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_the_python_of_the_page_compiles():
    assert [compile(block, "page", "exec") for block in blocks("python")]
