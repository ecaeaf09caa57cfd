import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

PLUGINS = Path(__file__).parent / "plugins.py"

HEAVY = {
    "click",
    "rich",
    "requests",
    "jsonschema",
    "jsonschema_rs",
    "msgspec",
    "dotenv",
    "logging",
    "importlib.metadata",
}


@pytest.fixture(scope="module")
def commands():
    spec = spec_from_file_location("stand_in_plugins", PLUGINS)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.COMMANDS


def test_help_shows_every_option_and_examples(run):
    done = run("tap", "--help")
    assert done.returncode == 0
    for option in (
        "--config",
        "--state",
        "--catalog",
        "--properties",
        "--discover",
        "--test",
        "--about",
        "--format",
        "--version",
        "--log-level",
        "--log-format",
        "--help",
    ):
        assert option in done.stdout
    assert done.stdout.startswith("Usage: tap-x [OPTIONS]\n\n  Moves nothing at all.\n\n")
    assert "Examples:\n  tap-x --config config.json --discover > catalog.json\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("kind", ["tap", "target", "mapper"])
def test_help_is_the_same_however_it_is_asked_for(run, kind):
    assert run(kind, "--help").stdout == run(kind, "--log-level", "info", "--help").stdout


def test_version_is_one_line(run):
    for words in (["--version"], ["--version", "--log-level=debug"]):
        done = run("target", *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "target-x v1.2.3, singerkit v0.1.0\n", "")


@pytest.mark.parametrize("words", [["--nope"], ["--test=nope"], ["stray"], ["--config"], ["--log-level=loud"]])
def test_a_wrong_command_line_is_exit_code_2(run, words):
    done = run("tap", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


@pytest.mark.parametrize("word", ["--help", "--about", "--version"])
def test_what_needs_no_run_imports_nothing_heavy(word):
    code = f"import runpy, sys; sys.argv = ['x', 'tap', {word!r}]\n"
    code += f"try: runpy.run_path({str(PLUGINS)!r}, run_name='__main__')\n"
    code += f"except SystemExit: print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    # The stand-ins import logging for themselves.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "['logging']"


def test_the_command_is_used_like_one_of_click(commands, tmp_path):
    command = commands["tap"]
    for words in (["--version"], ["--version", "--log-level=debug"]):
        result = CliRunner().invoke(command, words)
        assert (result.exit_code, result.output) == (0, "tap-x v1.2.3, singerkit v0.1.0\n")
        assert command(words, standalone_mode=False) in (0, None)
    assert "config" in [parameter.name for parameter in command.params]
    group = click.Group("all", {"tap": command.click_command})
    assert CliRunner().invoke(group, ["tap", "--version"]).output == "tap-x v1.2.3, singerkit v0.1.0\n"


@pytest.mark.parametrize("words", [["--about"], ["--help"], ["--discover"]])
def test_a_reader_that_goes_away_ends_the_output_quietly(words, config):
    if words == ["--discover"]:
        words = [*words, "--config", config()]
    process = subprocess.Popen(
        [sys.executable, str(PLUGINS), "tap", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) == 141
    assert "Traceback" not in error
    assert "Exception ignored" not in error
