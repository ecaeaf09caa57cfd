"""The pages about schemas and GraphQL are done as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, graphql_sync
from pytest_httpserver import HTTPServer
from werkzeug import Response

PAGES = Path(__file__).parents[2] / "docs/how-to"
SAVED = re.compile(r"[Ss]ave it as `([^`]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(tmp_path):
    """Save what a page says to save; gives its text and a function that types a command."""

    def read(name, **replaced):
        text = (PAGES / name).read_text(encoding="utf-8")
        for file, content in SAVED.findall(text):
            for old, new in replaced.items():
                content = content.replace(old, new)
            (tmp_path / file).write_text(content, encoding="utf-8")
        return text

    return read


def commands_of(text):
    return [line.removeprefix("$ ") for line in "".join(CONSOLE.findall(text)).splitlines() if line.startswith("$ ")]


def typed(command, folder):
    shell = f"python() {{ '{sys.executable}' \"$@\"; }}; {command}"
    done = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (command, done.stderr)
    return done


def run_what_is_not_saved(text):
    """Run each Python block that is shown only; gives their number."""
    saved = [content for _, content in SAVED.findall(text)]
    blocks = [code for code in PYTHON.findall(text) if code not in saved]
    for code in blocks:
        exec(compile(code, "page", "exec"), {"__name__": "page"})
    return len(blocks)


def test_discover_schemas(page, tmp_path):
    text = page("discover-schemas.md")
    done = [typed(command, tmp_path) for command in commands_of(text)]
    schema = json.loads((tmp_path / "schemas/orders.json").read_text(encoding="utf-8"))
    assert schema["properties"]["state"] == {"type": "string", "examples": ["open", "paid"]}
    assert schema["properties"]["customer"]["properties"] == {
        "email": {"type": "string", "format": "email"},
        "phone": {"type": ["string", "null"], "examples": ["555-0100"]},
    }
    assert json.loads(done[2].stdout)["streams"][0]["schema"] == schema
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 1002
    pets = json.loads(done[4].stdout)["streams"][0]["schema"]["properties"]
    assert pets.keys() == {"id", "kind", "owner", "lives"}
    assert run_what_is_not_saved(text) == 1


def test_graphql(page, tmp_path):
    schema = build_schema("""
        type Query { orders(first: Int!, after: String, status: String): Connection }
        type Connection { edges: [Edge], pageInfo: PageInfo }
        type Edge { node: Order }
        type Order { id: ID, total: Float, status: String }
        type PageInfo { hasNextPage: Boolean, endCursor: String }
    """)

    def orders(info, first, after="0", status=None):
        start, end = int(after), min(int(after) + first, 5)
        nodes = [{"node": {"id": number, "total": 1.5, "status": status}} for number in range(start, end)]
        return {"edges": nodes, "pageInfo": {"hasNextPage": end < 5, "endCursor": str(end)}}

    def answer(request):
        asked = request.get_json()
        done = graphql_sync(schema, asked["query"], {"orders": orders}, variable_values=asked["variables"])
        return Response(json.dumps(done.formatted), content_type="application/json")

    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        server.expect_request("/graphql", method="POST").respond_with_handler(answer)
        text = page("graphql.md", **{"https://shop.example.com": server.url_for("").rstrip("/")})
        (command,) = commands_of(text)
        messages = [json.loads(line) for line in typed(command, tmp_path).stdout.splitlines()]
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert [record["id"] for record in records] == ["0", "1", "2", "3", "4"]
    assert {record["status"] for record in records} == {"PAID"}
    assert len(server.log) == 3
    assert run_what_is_not_saved(text) == 1
