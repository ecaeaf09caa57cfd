import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = str(Path(__file__).parent / "plugins.py")


@pytest.fixture
def run(tmp_path):
    """Give a function that runs a stand-in plugin as a process, in an empty folder."""

    def run_plugin(*words, stdin="", **environ):
        return subprocess.run(
            [sys.executable, PLUGINS, *words],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environ},
            timeout=60,
            check=False,
        )

    return run_plugin


@pytest.fixture
def config(tmp_path):
    """Give a function that writes a valid config, with the settings given, and gives its path."""

    def write_config(name="config.json", **settings):
        path = tmp_path / name
        path.write_text(json.dumps({"api_key": "C4NARY-key", **settings}))
        return str(path)

    return write_config
