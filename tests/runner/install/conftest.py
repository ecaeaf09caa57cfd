import os
import subprocess
import sys
from pathlib import Path

import pytest

#: A build backend that needs nothing: it writes a wheel with one program that says its version.
BACKEND = """
import pathlib, re, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    said = pathlib.Path("pyproject.toml").read_text()
    name, version = re.findall(r'^(?:name|version) = "(.*)"', said, re.M)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    wheel = f"{module}-{version}-py3-none-any.whl"
    files = {
        f"{module}.py": f"def main(): print('{name} {version}')\\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        f"{info}/entry_points.txt": f"[console_scripts]\\n{name} = {module}:main\\n",
    }
    listed = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder) / wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": listed}.items():
            archive.writestr(path, text)
    return wheel
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "{name}"
version = "{version}"
"""


def write_package(folder, name, version="1.0"):
    """Write a package that can be built without a network."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name, version=version))
    return folder


@pytest.fixture
def singerkit(tmp_path):
    """Give a function that runs `singerkit` in a folder, and gives its exit code and what it told."""

    def run(*words, **environ):
        done = subprocess.run(
            [sys.executable, "-m", "singerkit", *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "UV_NO_INDEX": "1", "PIP_NO_INDEX": "1", **environ},
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def project(tmp_path):
    """Give a function that writes singer.toml beside the package of a tap."""
    write_package(tmp_path / "tap-a", "tap-a")

    def write(text):
        (tmp_path / "singer.toml").write_text(text)
        return Path(tmp_path)

    return write
