"""Small taps and targets without an SDK, which do what a test tells them, and a run of them."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from singerkit.runner.job import Job, Limits, Program
from singerkit.runner.run import Run
from singerkit.runner.store.open import open_store

#: ``work(write, argv)``: the body of a program; ``write(line)`` writes a line at once.
HEAD = """
import json, os, signal, sys, time
def write(text, end="\\n"):
    sys.stdout.write((text if isinstance(text, str) else json.dumps(text)) + end)
    sys.stdout.flush()
def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None
def given(name):
    return json.load(open(option(name))) if option(name) else None
"""
#: Writes ten records with a state each, beginning behind the bookmark it is given.
TAP = """
begin = ((given("--state") or {}).get("bookmarks", {}).get("s") or {}).get("n", 0)
schema = {"properties": {"id": {"type": "integer"}}}
write({"type": "SCHEMA", "stream": "s", "schema": schema, "key_properties": ["id"]})
for n in range(begin + 1, 11):
    write({"type": "RECORD", "stream": "s", "record": {"id": n}})
    write({"type": "STATE", "value": {"bookmarks": {"s": {"n": n}}}})
"""
#: Appends records to a file, and vouches for each state at once.
TARGET = """
with open(option("--out"), "a") as file:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            file.write(json.dumps(message["record"]) + "\\n")
            file.flush()
        if message["type"] == "STATE":
            write(message["value"])
"""


@dataclass
class Shown:
    """A listener that remembers."""

    lines: list = field(default_factory=list)
    retries: list = field(default_factory=list)
    summaries: list = field(default_factory=list)

    def started(self, job, record):
        self.record = record

    def log(self, program, line):
        self.lines.append((program, line))

    def progress(self, progress):
        self.latest = progress

    def retrying(self, ending, seconds):
        self.retries.append(ending)

    def ended(self, record, before, after):
        self.summaries.append((record, before, after))


class Bench:
    """A folder with programs, a store, and runs of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.out = folder / "out.jsonl"
        self.url = f"sqlite:///{folder / 'state.db'}"
        self.store = open_store(self.url)
        self.shown = Shown()

    def program(self, name: str, body: str, **said) -> Program:
        path = self.folder / f"{name}.py"
        path.write_text(HEAD + textwrap.dedent(body))
        return Program(name=name, argv=(sys.executable, "-S", "-E", str(path), "--out", str(self.out)), **said)

    def job(self, tap=TAP, target=TARGET, mappers=(), limits=None, **said) -> Job:
        programs = {
            "tap": tap if isinstance(tap, Program) else self.program("tap", tap),
            "target": target if isinstance(target, Program) else self.program("target", target),
            "mappers": tuple(self.program(f"mapper{number}", body) for number, body in enumerate(mappers)),
        }
        said = {"name": "p", "state_key": "p", "limits": limits or Limits(retry_wait_s=0.01), **said}
        return Job(**programs, **said)

    def run(self, *arguments, signals=(), **said):
        run = Run(self.job(*arguments, **said), self.store, self.shown, self.folder / "private")
        for number in signals:
            run._signals.put(number)
        return run()

    @property
    def state(self):
        stored = self.store.get("p")
        return stored.state if stored else None

    @property
    def ids(self):
        return [json.loads(line)["id"] for line in self.out.read_text().splitlines()] if self.out.exists() else []
