"""A tap is judged without its source: by the command line, by the plugin, by the class factory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ledger_api
import pytest
from ledger_api import LedgerAPI

from singerkit_testing.check import main
from singerkit_testing.errors import HarnessError
from singerkit_testing.recordings import recorded_config, recording_options, replayed

TAP = Path(ledger_api.__file__).with_name("tap_ledger.py")
COMMAND = f"{sys.executable} {TAP}"
#: Rules that sync, resume, and leave settings out.
RULES = "TAP-008,TAP-061,CLI-004,CLI-005"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the recording of a check; the API is gone."""
    folder = tmp_path_factory.mktemp("ledger")
    with LedgerAPI() as ledger:
        (folder / "config.json").write_text(json.dumps(ledger.config))
        words = [COMMAND, "--config", str(folder / "config.json"), "--record", str(folder / "recording")]
        assert main([*words, "--rules", RULES]) == 0
        assert ledger.tokens
    return folder


def test_a_check_without_the_source(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    assert main([COMMAND, "--replay", "recording", "--rules", RULES]) == 0
    assert "conformant, no must and no should broken; 3 rules of 4 applied" in capsys.readouterr().out


def pytest_in(folder, *words):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-v",
            "-rs",
            "-p",
            "no:cacheprovider",
            "-p",
            "singerkit_testing.plugin",
            *words,
        ],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_session_of_pytest_without_the_source(folder, tmp_path):
    recording = str(folder / "recording")
    done = pytest_in(tmp_path, "--tap", COMMAND, "--tap-replay", recording, "--singer-rules", "TAP-001,TAP-008")
    assert "2 passed" in done.stdout, done.stdout


SUITE = """
import sys
sys.path.insert(0, {tap!r})
from tap_ledger import TapLedger
from singerkit_testing import SuiteConfig, get_tap_test_class

suite = SuiteConfig(rules=["TAP-008", "CLI-004"])

class TestTapLedger(get_tap_test_class(TapLedger, replay={recording!r}, suite_config=suite)):
    def test_of_the_author(self, runner):
        assert len(runner.records["entries"]) == 30
        assert list(runner.new_tap().streams["accounts"].get_records(None))
"""


def test_the_tests_of_a_class_without_the_source(folder, tmp_path):
    suite = SUITE.format(tap=str(TAP.parent), recording=str(folder / "recording"))
    (tmp_path / "test_tap_ledger.py").write_text(suite)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
    passed = re.findall(r"::TestTapLedger::(\S+) PASSED", done.stdout)
    assert {"test_of_the_author", "test_tap_stream_connections", "test_tap_stream_returns_record[entries]"} <= {*passed}
    assert {"test_conformance[TAP-008]", "test_conformance[CLI-004]"} <= {*passed}
    assert "FAILED" not in done.stdout


def test_what_can_not_be_replayed(tmp_path):
    with pytest.raises(HarnessError, match=r"no recording .*nowhere"):
        recording_options(replay=tmp_path / "nowhere")
    with pytest.raises(HarnessError, match="either record or replay"):
        recording_options(record="a", replay=tmp_path)
    with pytest.raises(HarnessError, match="no classmethod 'replaying'"):
        replayed(SimpleNamespace(__name__="TapX"), tmp_path)
    assert recorded_config(tmp_path) is None
