from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import flights_api
from flights_data import flights

RUN = Path(flights_api.__file__).with_name("run.py")
FLIGHTS = 3_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo as a program, on some of the data; give its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(RUN), "--max-flights", str(FLIGHTS), "--latency", "0", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_that_it_shows_both_runs_and_an_answer(demo):
    _, shown = demo
    assert f"{FLIGHTS:,}" in shown
    assert f"26 flights, not {FLIGHTS:,}: 25 amended, 1 at the bookmark" in shown
    assert "United Air Lines Inc." in shown
    assert shown.index("The first run") < shown.index("the second run") < shown.index("What you just saw")


def test_that_the_database_equals_the_source(demo):
    folder, _ = demo
    with duckdb.connect(str(folder / "flights.duckdb"), read_only=True) as database:
        stored = dict(database.execute("SELECT id, departure__delay_minutes FROM flights").fetchall())
        ((revised,),) = database.execute("SELECT count(*) FROM flights WHERE revision = 2").fetchall()
    source = {
        flight["id"]: flight["departure"]["delay_minutes"] for flight, _ in zip(flights(), range(FLIGHTS), strict=False)
    }
    assert stored == source
    assert revised == 25


def test_that_it_leaves_a_project_that_goes_on(demo):
    folder, shown = demo
    state = subprocess.run(
        [sys.executable, "-m", "singerkit", "state", "show", "flights"], cwd=folder, capture_output=True, text=True
    )
    assert set(json.loads(state.stdout)["bookmarks"]) >= {"flights", "weather"}
    assert "demo-token" not in (folder / "singer.toml").read_text() + shown + (folder / "run.log").read_text()
    assert "All pipelines are well" in (folder / "status.html").read_text()
    assert "Traceback" not in (folder / "run.log").read_text()


def test_that_its_project_says_how_to_go_on_by_hand(demo, tmp_path):
    folder, shown = demo
    assert "how to go on by hand" in shown
    enter, *commands = re.findall("^#   (.*)$", (folder / "singer.toml").read_text(), re.MULTILINE)
    assert enter == f". {Path(sys.executable).parent}/activate"
    for name, words in (("python", ""), ("singerkit", " -m singerkit")):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
        (tmp_path / name).chmod(0o755)
    script = "\n".join(["set -e", "trap 'kill $!' EXIT", *commands])
    script = script.replace("--port", f"--max-flights {FLIGHTS} --latency 0 --port")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flights succeeded" in done.stderr


def test_that_what_stops_it_is_said_without_a_traceback(tmp_path):
    (tmp_path / "flights.duckdb").mkdir()
    command = [sys.executable, str(RUN), "--max-flights", "50", "--latency", "0", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "The demo failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
