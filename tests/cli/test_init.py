"""`singerkit init`: a first project that works."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def singerkit(tmp_path):
    def run(*words):
        command = [sys.executable, "-m", "singerkit", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)

    return run


def test_a_new_project_runs_as_it_is(tmp_path, singerkit):
    done = singerkit("init")
    assert (done.returncode, done.stdout) == (0, "Wrote singer.toml; pipelines: example.\n")
    assert (tmp_path / ".gitignore").read_text() == ".singerkit/\n.env\n"
    (tmp_path / "people.csv").write_text("id,name\n1,Ann\n2,Bob\n")
    done = singerkit("run", "example")
    assert done.returncode == 0, done.stderr
    (loaded,) = (tmp_path / "out").glob("people*.jsonl")
    names = [json.loads(line)["name"] for line in loaded.read_text().splitlines()]
    assert names == ["Ann", "Bob"]


def test_what_is_there_is_not_written_over_unasked(tmp_path, singerkit):
    (tmp_path / "singer.toml").write_text("# mine\n")
    (tmp_path / ".gitignore").write_text("/.env\n")
    done = singerkit("init")
    assert done.returncode == 2
    assert "singer.toml is there already; --force writes over it" in done.stderr
    assert (tmp_path / "singer.toml").read_text() == "# mine\n"
    assert "Add to .gitignore: .singerkit/\n" in singerkit("init", "--force").stdout
    assert singerkit("init", "new/folder").returncode == 0
    assert (tmp_path / "new/folder/singer.toml").is_file()
