"""The page of errors has every error with its exit code, and what users see names the section that is meant."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import singerkit
from singerkit import help_pages
from singerkit.errors import SingerKitError
from singerkit.runner.supervise.outcome import Status, exit_code_of

PAGE = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^##+ ", PAGE, flags=re.M)[1:]}
CLASS = {"type": "SCHEMA", "stream": "s", "schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}
SCHEMA = json.dumps({**CLASS, "key_properties": ["id"]})


def error_classes():
    for module in pkgutil.walk_packages(singerkit.__path__, "singerkit."):
        if not re.search(r"__main__|cookiecutter|templates", module.name):
            importlib.import_module(module.name)
    found, left = [], [SingerKitError]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        found += [kind] if kind.__module__.startswith("singerkit.") else []
    return found


def test_every_error_has_a_section_with_its_exit_code_and_meaning():
    by_name = {kind.__name__: kind for kind in error_classes()}
    assert by_name.keys() >= help_pages.SECTIONS
    public = {name for name, kind in by_name.items() if kind.__module__ == "singerkit.errors"}
    assert public - help_pages.SECTIONS == {"OutputClosed"}, "who does not listen is told nothing"
    for name in help_pages.SECTIONS:
        section = SECTIONS[name]
        meaning = " ".join(by_name[name].__doc__.strip().partition("\n")[0].split())
        assert section.strip().startswith(f"{meaning} Exit code {by_name[name].exit_code}."), name
        assert "**Cause" in section, name
        assert "cure" in section.lower(), name


def test_every_end_of_a_run_has_a_section_with_its_exit_code():
    for status in Status:
        section = SECTIONS[f"Run: {status.replace('_', ' ')}"]
        code = 130 if status is Status.CANCELLED else exit_code_of(status)
        assert f"Exit code {code}" in section


def test_every_exit_code_is_in_both_tables():
    codes = {str(kind.exit_code) for kind in error_classes()} | {"0", "124", "130"}
    other = (Path(__file__).parents[2] / "docs/reference/command-line.md").read_text(encoding="utf-8")
    for page in (PAGE, other.split("## Exit codes")[1]):
        rows = " ".join(re.findall(r"^\| ([\d, ]+) \|", page, re.M)).replace(",", "").split()
        assert codes <= set(rows)


def last_line(folder, *words, given="", code, **environment):
    """Run a command that fails, and give the last line of what it says."""
    command = [sys.executable, *words] if words[0].endswith(".py") else [sys.executable, "-m", "singerkit", *words]
    environment = {**os.environ, **environment}
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, cwd=folder, env=environment, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("help: ") == 1, done.stderr
    return done.stderr.splitlines()[-1]


def helps(section):
    return f"  help: {help_pages.DOCUMENTATION}/en/latest/reference/errors.html#{section}"


TAP = """
from singerkit import Stream, Tap, errors
class Things(Stream):
    name, schema = "things", {"type": "object", "properties": {"id": {"type": "integer"}}}
    def get_records(self, context):
        FAIL
class TapThings(Tap):
    name = "tap-things"
    def discover_streams(self):
        return [Things(self)]
TapThings.cli()
"""


@pytest.mark.parametrize(
    ("failure", "code", "section"),
    [
        ('raise errors.AuthenticationError("no")', 1, "authenticationerror"),
        ('raise type("Own", (errors.RetriableAPIError,), {})("no")', 1, "retriableapierror"),
        ('raise errors.RetryBudgetError("later")', 5, "retrybudgeterror"),
        ('raise ValueError("no")', 1, "exceptions-of-a-connector"),
        ("import sys; sys.exit()", 1, "exceptions-of-a-connector"),
        ('open("/nowhere/at/all")', 1, "errors-of-the-machine"),
    ],
)
def test_what_a_stream_raises_names_its_page(tmp_path, failure, code, section):
    (tmp_path / "tap_things.py").write_text(TAP.replace("FAIL", failure))
    assert last_line(tmp_path, "tap_things.py", code=code) == helps(section)


def test_configs_catalogs_and_states_name_their_page(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "wrong.json").write_text('{"files": 1}')
    (tmp_path / "config.json").write_text('{"files": [{"entity": "o", "path": "none.csv", "keys": []}]}')
    (tmp_path / "catalog.json").write_text('{"streams": [{}]}')
    (tmp_path / "state.json").write_text('{"type": "STATE", "value": {}}')
    (tmp_path / "maps.json").write_text('{"stream_maps": {"s": {"id": "1 +"}}}')
    tap = ("tap-csv", "--config")
    assert last_line(tmp_path, *tap, "broken.json", code=2) == helps("configurationerror")
    assert last_line(tmp_path, *tap, "wrong.json", code=2) == helps("configvalidationerror")
    assert last_line(tmp_path, *tap, "config.json", "--catalog", "catalog.json", code=2) == helps("catalogerror")
    assert last_line(tmp_path, *tap, "config.json", "--state", "state.json", code=2) == helps("stateerror")
    (tmp_path / "tap_things.py").write_text(TAP.replace('"type": "object", ', "").replace("schema = ", "path = "))
    assert last_line(tmp_path, "tap_things.py", "--discover", code=3) == helps("discoveryerror")
    found = last_line(tmp_path, "target-jsonl", "--config", "maps.json", given=SCHEMA, code=2)
    assert found == helps("mappingerror")


def test_input_that_is_wrong_names_its_page(tmp_path):
    record = '{"type": "RECORD", "stream": "s", "record": {"id": %s}}\n'
    for given, code, section in (
        ("hello\n", 4, "invalidinputline"),
        (record % 1, 4, "recordswithoutschemaexception"),
        (SCHEMA + "\n" + record % '"one"', 1, "dataerror"),
    ):
        assert last_line(tmp_path, "target-jsonl", given=given, code=code) == helps(section)


def test_logs_of_json_have_it_as_a_member(tmp_path):
    line = last_line_of_json(tmp_path, "target-jsonl", "--log-format=json", given="hello\n")
    assert line["help"] == helps("invalidinputline").removeprefix("  help: ")


def last_line_of_json(folder, *words, given):
    command = [sys.executable, "-m", "singerkit", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, cwd=folder, check=False)
    return json.loads(done.stderr.splitlines()[-1])


PROJECT = """
[taps.tap-x]
command = "false"
[targets.target-jsonl]
[pipelines.p]
tap = "tap-x"
target = "target-jsonl"
"""


def test_a_run_that_failed_names_the_page_on_how_it_ended(tmp_path):
    (tmp_path / "singer.toml").write_text(PROJECT)
    done = subprocess.run(
        [sys.executable, "-m", "singerkit", "run", "p"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    ended = json.loads(done.stderr.splitlines()[-1])
    assert ended["summary"][-1] == helps("run-tap-failed")


def test_a_run_whose_tap_names_a_page_leaves_it_at_that(tmp_path):
    (tmp_path / "singer.toml").write_text(PROJECT.replace("tap-x", "tap-csv").replace('command = "false"', ""))
    done = subprocess.run(
        [sys.executable, "-m", "singerkit", "run", "p"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    summary = json.loads(done.stderr.splitlines()[-1])["summary"]
    assert [line for line in summary if "help: " in line] == [f"    tap-csv | {helps('configurationerror')}"]


def test_a_lease_that_is_held_an_installation_and_drift_name_their_page(tmp_path):
    (tmp_path / "singer.toml").write_text(
        PROJECT.replace('command = "false"', 'command = "sleep 20"') + '[taps.none]\npackage = "./not-there"\n'
    )
    with subprocess.Popen([sys.executable, "-m", "singerkit", "run", "p"], cwd=tmp_path, stderr=subprocess.PIPE) as run:
        run.stderr.readline()  # it has begun, so it has the lease
        assert last_line(tmp_path, "run", "p", code=75) == helps("lockederror")
        run.terminate()
        run.communicate()
    assert last_line(tmp_path, "install", "--check", code=2) == helps("configvalidationerror")
    page = last_line(tmp_path, "deploy", "systemd", "p", "--check", code=1)
    assert page == f"  help: {help_pages.DOCUMENTATION}/en/latest/how-to/deploy.html#keep-the-files-up-to-date"
