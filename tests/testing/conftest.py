from __future__ import annotations

import sys
from textwrap import dedent

import pytest

TAP = """
import json, sys

CATALOG = {"streams": [{
    "tap_stream_id": "people", "stream": "people",
    "schema": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}},
    "metadata": [
        {"breadcrumb": [], "metadata": {"inclusion": "available", "table-key-properties": ["id"]}},
        {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
    ],
}]}

def argument(name):
    return json.load(open(sys.argv[sys.argv.index(name) + 1])) if name in sys.argv else None

def write(**message):
    print(json.dumps(message))

config = argument("--config")
if config is None or config.get("broken"):
    sys.exit("no usable config")
if "--discover" in sys.argv:
    print(json.dumps(CATALOG))
    sys.exit()
catalog, state = argument("--catalog"), argument("--state")
print("selected", catalog and catalog["streams"][0]["metadata"][0]["metadata"].get("selected"), file=sys.stderr)
write(type="SCHEMA", stream="people", schema=CATALOG["streams"][0]["schema"], key_properties=["id"])
for number in range((state or {}).get("after", 0) + 1, 4):
    write(type="RECORD", stream="people", record={"id": number, "name": f"n{number}"})
write(type="STATE", value={"after": 3})
"""

TARGET = """
import json, os, sys

def argument(name):
    return json.load(open(sys.argv[sys.argv.index(name) + 1])) if name in sys.argv else None

config = argument("--config")
if config is None:
    sys.exit("no config")
last = None
for line in sys.stdin.buffer:
    message = json.loads(line)
    if message["type"] == "RECORD" and not config.get("lose"):
        with open(os.path.join(config["folder"], message["stream"] + ".jsonl"), "a") as file:
            file.write(json.dumps(message["record"]) + "\\n")
    elif message["type"] == "STATE":
        last = message["value"]
if last is not None:
    print(json.dumps(last))
"""


@pytest.fixture
def script(tmp_path):
    """Give a function that makes a Python program of a text, and gives its command."""

    def write(code, name="program.py"):
        path = tmp_path / name
        path.write_text(dedent(code))
        return [sys.executable, "-S", "-E", str(path)]  # starts in half the time

    return write


@pytest.fixture
def tap(script):
    """Give the command of a small and good tap."""
    return script(TAP, "tap.py")


@pytest.fixture
def target(script):
    """Give the command of a small and good target that appends JSON lines to files in a folder."""
    return script(TARGET, "target.py")


MAPPER = """
import json, sys

losing = "--config" in sys.argv and json.load(open(sys.argv[sys.argv.index("--config") + 1])).get("lose")
for number, line in enumerate(sys.stdin.buffer):
    message = json.loads(line)
    if losing and message["type"] == "RECORD" and number % 3 == 0:
        continue
    sys.stdout.buffer.write(line)
    sys.stdout.flush()
"""


@pytest.fixture
def mapper(script):
    """Give the command of a small mapper that lets everything pass, and with a config loses some."""
    return script(MAPPER, "mapper_all.py")
