import subprocess
import sys

import pytest

from singerkit.cli.main import CONNECTORS


def singerkit(*words):
    code = "from singerkit.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_reads_like_a_short_readme(words):
    done = singerkit(*words)
    assert done.returncode == 0
    for name, connector in CONNECTORS.items():
        assert name in done.stdout
        assert connector.sentence in done.stdout
    assert "Examples:" in done.stdout


def test_version():
    done = singerkit("--version")
    assert (done.returncode, done.stdout.startswith("singerkit v")) == (0, True)


def test_connectors_are_listed_with_a_sentence():
    lines = singerkit("connectors").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[name, c.sentence] for name, c in CONNECTORS.items()]


def test_an_unknown_command_gets_a_suggestion():
    done = singerkit("tap-cvs", "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no command 'tap-cvs'; did you mean 'tap-csv'?" in done.stderr
    assert singerkit("--nope").returncode == 2
    said = singerkit("target-snowflake").stderr
    assert (
        "there is no command 'target-snowflake': a connector that does not come with singerkit is run as `target"
        in said
    )


def test_a_connector_gets_the_rest_of_the_words(tmp_path, monkeypatch):
    (tmp_path / "fake_connectors.py").write_text(
        "class Fake:\n"
        "    class cli:\n"
        "        @staticmethod\n"
        "        def main(args, prog_name): print(prog_name, args)\n"
    )
    code = (
        "from singerkit.cli import main as m\n"
        "m.CONNECTORS = {'tap-f': m.Connector('fake_connectors:Fake', 'x'), 'tap-g': m.Connector('gone:Fake', 'x')}\n"
        "m.run_connector('tap-f', ['--about'])\n"
        "m.run_connector('tap-g', [])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout == "singerkit tap-f ['--about']\n"
    assert done.returncode == 1
    assert "No module named 'gone'" in done.stderr
