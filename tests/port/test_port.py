"""The command, on a small connector: what it writes, what it only says, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from singerkit.cli.commands.port import port

TAP = """\
from singer_sdk import Stream, Tap
from singer_sdk import typing as th
from singer_sdk.helpers.types import Context


class Numbers(Stream):
    name, primary_keys, replication_key = "numbers", ("n",), "n"
    schema = th.PropertiesList(th.Property("n", th.IntegerType)).to_dict()

    def get_records(self, context: Context | None):
        start = self.get_starting_replication_key_value(context) or 0
        return [{"n": n} for n in range(start, 3)]


class TapX(Tap):
    name = "tap-x"

    def discover_streams(self):
        return [Numbers(self)]


if __name__ == "__main__":
    TapX.cli()
"""
PYPROJECT = '[project]\nname = "tap-x"\nversion = "1"\ndependencies = ["singer-sdk~=0.54.0"]\n'


@pytest.fixture
def connector(tmp_path: Path) -> Path:
    (tmp_path / "tap_x").mkdir()
    (tmp_path / "tap_x" / "tap.py").write_text(TAP)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "other.py").write_text("import singer_sdk\n")
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(port, [str(word) for word in words])


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_ported_tap_runs_and_goes_on_from_an_old_state(connector: Path) -> None:
    done = run(connector)
    assert (done.exit_code, done.output.splitlines()) == (
        0,
        [
            "changed: tap_x/tap.py",
            "changed: pyproject.toml",
            "uv.lock is out of date: lock the dependencies again",
            "2 files changed, 0 places to look at by hand",
        ],
    )
    assert "import singer_sdk" in contents(connector)[".venv/other.py"]
    bookmark = '{"bookmarks": {"numbers": {"replication_key": "n", "replication_key_value": 2}}}'
    (connector / "state.json").write_text(bookmark)
    words = [sys.executable, "tap_x/tap.py", "--state", "state.json"]
    ran = subprocess.run(words, cwd=connector, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.count('"RECORD"') == 1
    assert '"record":{"n":2}' in ran.stdout


def test_a_second_time_there_is_nothing_to_do(connector: Path) -> None:
    run(connector)
    before = contents(connector)
    done = run("--check", connector)
    assert (done.exit_code, done.output) == (0, "nothing to do: nothing here asks for singer_sdk\n")
    assert run(connector).exit_code == 0
    assert contents(connector) == before


@pytest.mark.parametrize("option", ["--check", "--diff"])
def test_nothing_is_written_by(option: str, connector: Path) -> None:
    before = contents(connector)
    done = run(option, connector)
    assert done.exit_code == 1
    assert ("+from singerkit import Stream, Tap" in done.output) == (option == "--diff")
    assert ("to change: tap_x/tap.py" in done.output) == (option == "--check")
    assert contents(connector) == before


def test_what_is_left_is_listed_with_file_and_line(connector: Path) -> None:
    tap = connector / "tap_x" / "tap.py"
    tap.write_text(
        TAP.replace("    def get_records", "    def _sync_children(self, context): ...\n\n    def get_records")
    )
    (connector / "tap_x" / "old.py").write_text("from singer_sdk.helpers._state import increment_state\nprint 'two'\n")
    (connector / "tap_x" / "state.py").write_text("from singer_sdk.helpers._state import increment_state\n")
    done = run(connector)
    assert done.exit_code == 1
    places = [line.split(" ")[0] for line in done.output.splitlines() if ".py:" in line]
    assert places == ["tap_x/old.py:2:", "tap_x/state.py:1:", "tap_x/tap.py:10:"]
    assert "from singerkit import Stream, Tap" in tap.read_text()


def test_requirements_files_are_rewritten(connector: Path) -> None:
    (connector / "requirements-dev.txt").write_text("pytest\nsinger-sdk[testing]==0.54.9\n# singer-sdk\n")
    run(connector)
    lines = contents(connector)["requirements-dev.txt"].splitlines()
    assert lines[1].startswith("singerkit[testing]>=")
    assert (lines[0], lines[2]) == ("pytest", "# singer-sdk")


def test_a_project_of_setuptools_is_told_what_to_do(connector: Path) -> None:
    (connector / "pyproject.toml").unlink()
    (connector / "setup.py").write_text("from setuptools import setup\nsetup(install_requires=['singer-sdk'])\n")
    done = run(connector)
    assert done.exit_code == 1
    assert "setup.py:1: only pyproject.toml is rewritten" in done.output


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_a_connector_is_an_error_and_no_traceback(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code = "from singerkit.cli.main import main; main()"
    words = [sys.executable, "-c", code, "port", tmp_path / name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "name the" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_another_encoding_is_an_error_and_nothing_is_written(connector: Path) -> None:
    (connector / "pyproject.toml").write_bytes(PYPROJECT.encode() + b"# \xe9\n")
    before = (connector / "tap_x" / "tap.py").read_text()
    done = run(connector)
    assert done.exit_code == 2
    assert (connector / "tap_x" / "tap.py").read_text() == before
