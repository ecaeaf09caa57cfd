"""What README and tutorials tell people to type is typed here."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAVED_AS = re.compile(r"[Ss]ave it as `([^`]+)`")


def commands_of(text):
    lines = "".join(CONSOLE.findall(text)).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def run(command, folder):
    shell = f"set -o pipefail; python() {{ '{sys.executable}' \"$@\"; }}; {command}"
    return subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_tutorials_work_as_written(tmp_path):
    for page in ("first-tap.md", "first-target.md"):
        text = (ROOT / "docs/tutorials" / page).read_text(encoding="utf-8")
        (tmp_path / SAVED_AS.search(text)[1]).write_text(CODE.search(text)[1], encoding="utf-8")
        outputs = []
        for command in commands_of(text):
            done = run(command, tmp_path)
            assert done.returncode == 0, (command, done.stderr)
            outputs.append(done.stdout)
        assert any('"square"' in output for output in outputs)
    assert '"n": 5' in (tmp_path / "out/records.jsonl").read_text(encoding="utf-8")
    assert '"replication_key_value":5' in (tmp_path / "state.json").read_text(encoding="utf-8")


def test_the_first_page_s_stream_is_one():
    names = {}
    exec(CODE.search((ROOT / "docs/index.md").read_text(encoding="utf-8"))[1], names)
    assert names["Orders"].name == "orders"


@pytest.fixture
def readme(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, block in zip(("tap_flights.py", "target_flights.py"), CODE.findall(text), strict=True):
        (tmp_path / name).write_text(block, encoding="utf-8")
    return tmp_path, [command for command in commands_of(text) if "tap_flights" in command or "json" in command]


@pytest.fixture
def api_url():
    command = [sys.executable, ROOT / "demo/flights_api.py", "--port", "0", "--token", "s3cret"]
    options = ["--max-flights", "3000", "--latency", "0"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as api:
        yield re.search(r"http://[^\s]+", api.stdout.readline())[0].rstrip("/")
        api.terminate()


def test_the_readme_works_as_written(readme, api_url):
    folder, commands = readme
    assert len(commands) == 6
    base = api_url if api_url.endswith("/v1") else f"{api_url}/v1"
    for command in commands:
        done = run(command.replace("http://127.0.0.1:8000/v1", base), folder)
        assert done.returncode == 0, (command, done.stderr)
    query = "select count(*), count(distinct id) from flights"
    found = run(f'python -c \'import sqlite3; print(*sqlite3.connect("flights.db").execute("{query}"))\'', folder)
    assert found.stdout == "(3000, 3000)\n"
    counts = re.findall(r'"record_count","value":(\d+)', done.stderr)
    assert all(int(count) < 3000 for count in counts), "the second run reads only what is new"


def test_the_readme_names_each_extra():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("| for | extras |")[2].partition("\n\n")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [name for name in re.findall("`([a-z]+)`", table) if name != "singerkit"]
    assert sorted(named) == sorted(project["optional-dependencies"])
