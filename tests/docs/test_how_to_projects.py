"""The pages on installing connectors and on coming from Meltano work as written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
TAP = """\
import json

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}}

def main():
    print(json.dumps({"type": "SCHEMA", "stream": "orders", "key_properties": ["id"], "schema": SCHEMA}))
    print(json.dumps({"type": "RECORD", "stream": "orders", "record": {"id": 1}}))
    print(json.dumps({"type": "STATE", "value": {"done": True}}))
"""
BACKEND = """\
import pathlib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "tap_shop-1.0.dist-info"
    files = {
        "tap_shop.py": pathlib.Path("tap_shop.py").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: tap-shop\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": "[console_scripts]\\ntap-shop = tap_shop:main\\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(pathlib.Path(folder) / "tap_shop-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "tap_shop-1.0-py3-none-any.whl"
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tap-shop"
version = "1.0"
"""


def blocks(language, page):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (HOW_TO / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(page):
    return [line.removeprefix("$ ") for block in blocks("console", page) for line in block.splitlines()]


@pytest.fixture
def run(tmp_path):
    def run_command(command):
        shell = f"singerkit() {{ '{sys.executable}' -m singerkit \"$@\"; }}; {command}"
        done = subprocess.run(
            ["bash", "-c", shell],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "UV_NO_INDEX": "1"},
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    return run_command


def test_connectors_are_installed_as_shown(run, tmp_path):
    (tmp_path / "singer.toml").write_text(blocks("toml", "install-connectors.md")[0])
    package = tmp_path / "tap-shop"
    package.mkdir()
    for name, text in {"tap_shop.py": TAP, "backend.py": BACKEND, "pyproject.toml": PYPROJECT}.items():
        (package / name).write_text(text)
    for command in commands("install-connectors.md"):
        run(command)
    (loaded,) = (tmp_path / "output").glob("orders*.jsonl")
    assert json.loads(loaded.read_text()) == {"id": 1}


def test_a_meltano_project_is_converted_as_shown(run, tmp_path):
    page = "coming-from-meltano.md"
    (tmp_path / "meltano.yml").write_text(blocks("yaml", page)[0])
    (tmp_path / "orders.csv").write_text("id,note\n1,x\n")
    convert, *later = commands(page)
    assert run(convert) == blocks("text", page)[0]
    assert (tmp_path / "singer.toml").read_text() == blocks("toml", page)[0]
    for command in later:
        run(command)
    (loaded,) = (tmp_path / "prod").glob("orders*.jsonl")
    assert json.loads(loaded.read_text()) == {"id": "1"}
