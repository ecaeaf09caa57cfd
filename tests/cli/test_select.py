"""`singerkit select`, with the tap of CSV files."""

import json
import subprocess
import sys

import pytest

PROJECT = """\
# Our files.
[taps.files]  # a tap
command = "tap-csv"
select = ["people.*"]  # who

[taps.files.config]
files = [{ entity = "people", path = "people.csv", keys = ["id"] }, { entity = "places", path = "places.csv" }]

[targets.target-jsonl]

[pipelines.p]
tap = "files"
target = "target-jsonl"
select = ["places.town"]

[env.prod]
"""


@pytest.fixture
def singerkit(tmp_path):
    (tmp_path / "singer.toml").write_text(PROJECT)
    (tmp_path / "people.csv").write_text("id,name,mail\n1,Ann,a@x\n")
    (tmp_path / "places.csv").write_text("town,country\nRome,Italy\n")

    def run(*words):
        command = [sys.executable, "-m", "singerkit", "select", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)

    return run


def test_what_is_selected_is_shown(singerkit):
    done = singerkit("files")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "people: 3 of 3 properties, FULL_TABLE\n  + id  (always)\n  + name\n  + mail\n"
    assert "\nplaces: 0 of 2 properties, FULL_TABLE\n  - town\n  - country\n" in singerkit("files", "--all").stdout


def test_rules_are_tried_and_kept_on_request(singerkit, tmp_path):
    done = singerkit("files", "!people.mail", "!people.male")
    assert done.stdout == "people: 2 of 3 properties, FULL_TABLE\n  + id  (always)\n  + name\n"
    assert done.stderr.splitlines()[0] == (
        "select: '!people.male' matches nothing; the stream 'people' has no such property"
    )
    assert done.stderr.splitlines()[-1] == 'select = ["people.*", "!people.mail", "!people.male"]'
    assert (tmp_path / "singer.toml").read_text() == PROJECT
    done = singerkit("files", "places", "--remove", "people.*", "--save")
    assert done.returncode == 0, done.stderr
    changed = PROJECT.replace('["people.*"]', '["places"]')
    assert (tmp_path / "singer.toml").read_text() == changed


def test_a_pipeline_s_rules_come_on_top(singerkit):
    streams = json.loads(singerkit("p", "--json").stdout)["streams"]
    assert [(stream["stream"], stream["selected"]) for stream in streams] == [("people", True), ("places", True)]
    assert streams[1]["properties"]["country"] == {"selected": False, "inclusion": "available"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["file"], "has neither a tap nor a pipeline 'file'; did you mean 'files'?"),
        (["files", "places", "--save", "--env", "prod"], "leave --env and SINGERKIT_ENV away"),
        (["files", "--remove", "people"], "'people' is none of the tap's rules; did you mean 'people.*'?"),
    ],
)
def test_what_can_not_be_done_is_said(singerkit, words, message):
    done = singerkit(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_tap_that_can_not_discover_is_said(singerkit, tmp_path):
    (tmp_path / "people.csv").unlink()
    done = singerkit("files")
    assert done.returncode == 3
    assert "could not discover its streams" in done.stderr
