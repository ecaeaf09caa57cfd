"""`singerkit new tap --from-openapi`: taps from documents of different kinds read APIs that do what these say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import scaffolded
from click.testing import CliRunner

from singerkit.cli.commands.new import new
from singerkit_testing.fake_server import FakeServer, Response

DOCUMENTS = Path(__file__).parent / "openapi"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taps")
    found = {}
    for document in DOCUMENTS.iterdir():
        words = ["tap", "--from-openapi", str(document), "--output", str(folder), "--no-input"]
        done = CliRunner().invoke(new, words)
        assert done.exit_code == 0, done.output
        found[document.stem] = (folder / f"tap-{document.stem}", done.output)
    return found


def day(number):
    return f"2024-05-{number:02}T08:00:00Z"


ORDERS = [
    {"id": number, "status": "open", "total": 1.5, "updated_at": day(number), "customer": None}
    for number in range(1, 8)
]
CUSTOMERS = [{"id": number, "email": f"c{number}@example.com"} for number in range(1, 6)]
VEHICLES = [
    {"vehicleId": f"V{number}", "lastModified": day(number), "position": {"lat": 1.5}} for number in range(1, 6)
]
BOOKINGS = [{"id": f"b{number}", "amount": number} for number in range(1, 8)]
ACCOUNTS = [{"uuid": f"00000000-0000-4000-8000-{number:012}", "name": None} for number in range(1, 6)]

TASKS = [
    {"id": f"t{number}", "body": None, "author": {"id": "ada"}, "lastEditedTime": day(number), "due": "2024-06-01"}
    for number in range(1, 6)
]


def shop(request):
    if request.headers.get("authorization") != "Bearer s3cret":
        return Response(status=401)
    if request.path == "/v2/orders":
        found = [order for order in ORDERS if order["updated_at"] >= request.query.get("updated_since", "")]
        first = (int(request.query["page"]) - 1) * 3
        return {"data": found[first : first + 3], "meta": {"total_pages": -(-len(found) // 3)}}
    if request.path == "/v2/customers":
        first = int(request.query.get("cursor", "c0")[1:])
        following = f"c{first + 2}" if first + 2 < len(CUSTOMERS) else None
        return {"customers": CUSTOMERS[first : first + 2], "next_cursor": following}
    return None


def fleet(request):
    if request.query.get("apikey") != "s3cret":
        return Response(status=401)
    if request.path == "/api/v3/vehicles":
        found = [each for each in VEHICLES if each["lastModified"] >= request.query.get("modifiedSince", "")]
        first = int(request.query["offset"])
        return {"vehicles": found[first : first + 2], "totalCount": len(found)}
    return [{"text": "smoke"}] if request.path == "/api/v3/depots/north/alarms" else None


def ledger(request):
    if request.path == "/oauth2/token":
        form = parse_qs(request.body.decode())
        return {"access_token": "t", "expires_in": 600} if form["client_secret"] == ["s3cret"] else Response(status=401)
    if request.headers.get("authorization") != "Bearer t":
        return Response(status=401)
    if request.path == "/v1/bookings":
        found = [each for each in BOOKINGS if each["id"] > request.query.get("starting_after", "")]
        return {"data": found[:3], "has_more": len(found) > 3}
    first = int(request.query.get("from", 0))
    link = {"Link": f'</v1/accounts?from={first + 2}>; rel="next"'} if first + 2 < len(ACCOUNTS) else {}
    return Response(ACCOUNTS[first : first + 2], headers=link)


def notes(request):
    if not request.headers.get("authorization", "").startswith("Basic "):
        return Response(status=401)
    if request.path == "/api/v1/tasks":
        found = [task for task in TASKS if task["lastEditedTime"] >= request.query.get("modified_after", "")]
        first = int(request.query.get("start_cursor", "c0")[1:])
        following = f"c{first + 2}" if first + 2 < len(found) else None
        return {"results": found[first : first + 2], "next_cursor": following, "has_more": following is not None}
    return [{"id": "ada", "reports": [{"id": "grace"}]}] if request.path == "/api/v1/workspaces/w1/members" else None


def read(project, respond, base, config, state=None):
    """Run a tap; gives its records by stream, and its last state."""
    module = project.name.replace("-", "_")
    with FakeServer(respond) as server:
        given = {
            "api_url": server.url + base,
            **{name: value.format(server=server.url) for name, value in config.items()},
        }
        (project / "config.json").write_text(json.dumps(given))
        (project / "state.json").write_text(json.dumps(state or {}))
        words = [sys.executable, "-m", module, "--config", "config.json", "--state", "state.json"]
        messages = [json.loads(line) for line in scaffolded.run(words, project).splitlines()]
        assert not server.errors
    records = {message["stream"]: [] for message in messages if message["type"] == "SCHEMA"}
    for message in messages:
        if message["type"] == "RECORD":
            records[message["stream"]].append(message["record"])
    return records, [message["value"] for message in messages if message["type"] == "STATE"][-1]


def test_pages_a_cursor_and_what_is_new(made):
    project, _ = made["shop"]
    records, state = read(project, shop, "/v2", {"token": "s3cret"})
    assert [order["id"] for order in records["orders"]] == [1, 2, 3, 4, 5, 6, 7]
    assert records["customers"] == CUSTOMERS
    again, _ = read(project, shop, "/v2", {"token": "s3cret"}, state)
    assert [order["id"] for order in again["orders"]] == [7]


def test_swagger_2_an_offset_and_a_part_of_the_path(made):
    project, _ = made["fleet"]
    records, state = read(project, fleet, "/api/v3", {"api_key": "s3cret", "depot": "north"})
    assert [each["vehicleId"] for each in records["vehicles"]] == ["V1", "V2", "V3", "V4", "V5"]
    assert records["alarms"] == [{"text": "smoke"}]
    again, _ = read(project, fleet, "/api/v3", {"api_key": "s3cret", "depot": "north"}, state)
    assert [each["vehicleId"] for each in again["vehicles"]] == ["V5"]


def test_oauth_keys_and_links(made):
    project, _ = made["ledger"]
    config = {"client_id": "app", "client_secret": "s3cret", "token_url": "{server}/oauth2/token"}
    records, _ = read(project, ledger, "", config)
    assert records["bookings"] == BOOKINGS
    assert records["accounts"] == ACCOUNTS


def test_schemas_of_several_parts_and_a_change_by_another_name(made):
    project, _ = made["notes"]
    config = {"username": "ada", "password": "s3cret", "workspace-id": "w1"}
    records, state = read(project, notes, "/api/v1", config)
    assert records["tasks"] == TASKS
    assert records["members"] == [{"id": "ada", "reports": [{"id": "grace"}]}]
    again, _ = read(project, notes, "/api/v1", config, state)
    assert [task["id"] for task in again["tasks"]] == ["t5"]


def test_what_is_not_decided_is_listed(made):
    assert "GET /orders/{order_id}/lines: a child of /orders" in made["shop"][1]
    assert "GET /depots/{depot}/alarms: which properties tell a record from others?" in made["fleet"][1]
    assert "GET /v1/accounts: 'created_after' asks for what is new, but by which property?" in made["ledger"][1]
    assert "GET /v1/accounts: the parameter 'tenant' is required" in made["ledger"][1]
    assert "https://api.example.com/api/v1 is only an example" in made["notes"][1]
    for project, said in made.values():
        left_open = re.findall(r"^  ((?:GET|the document) .*)$", said, re.MULTILINE)
        page = (project / "NEXT_STEPS.md").read_text()
        assert [f"   - {question}" in page for question in left_open] == [True] * len(left_open) != []


def test_they_are_clean_and_run_from_their_recordings(made):
    projects = [project for project, _ in made.values()]
    scaffolded.lint(projects)
    scaffolded.run_tests(projects, "not Test or (TestTapShop and (TAP-008 or STA-001))")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{}", "no OpenAPI document"),
        ("no: [yaml", "openapi.yaml"),
        ('{"openapi": "3.0.0", "paths": {}}', "no GET that answers with a list"),
    ],
)
def test_a_document_without_streams_is_one_clear_error(document, said, tmp_path, caplog):
    (tmp_path / "openapi.yaml").write_text(document)
    done = CliRunner().invoke(new, ["tap", "--from-openapi", str(tmp_path / "openapi.yaml"), "--no-input"])
    assert done.exit_code == 2
    assert said in caplog.text


def test_a_replay_stands_in_for_secrets_only(made):
    project, _ = made["notes"]
    (project / "config.json").write_text(json.dumps({"username": "ada"}))
    words = [sys.executable, "-m", "tap_notes", "--replay", "recordings", "--config", "config.json"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True)
    assert done.returncode == 2
    assert "workspace-id: is required" in done.stderr
    assert "password" not in done.stderr


def in_json(**schemas):
    """Give paths that answer with lists."""
    return {
        f"/{name}": {"get": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}
        for name, schema in schemas.items()
    }


LIST = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}
ELSEWHERE = {"type": "array", "items": {"$ref": "schemas.yaml#/Pet"}}


def test_names_that_python_or_the_module_need_and_parts_that_are_elsewhere(tmp_path):
    paths = in_json(path=LIST, none=LIST, incremental=LIST, API=LIST, pets=ELSEWHERE)
    (tmp_path / "zoo.json").write_text(json.dumps({"openapi": "3.0.0", "info": {}, "paths": paths}))
    words = ["--from-openapi", str(tmp_path / "zoo.json"), "--output", str(tmp_path), "--no-input"]
    done = CliRunner().invoke(new, ["tap", *words])
    assert done.exit_code == 0, done.output
    assert "GET /pets: no stream, since " in done.output
    assert "the reference 'schemas.yaml#/Pet' leads out of the document" in done.output
    project = tmp_path / "tap-zoo"
    scaffolded.lint([project])
    said = scaffolded.run([sys.executable, "-m", "tap_zoo", "--replay", "recordings"], project)
    assert {json.loads(line)["stream"] for line in said.splitlines() if '"RECORD"' in line} == {
        "path",
        "none",
        "incremental",
        "api",
    }


def test_a_title_becomes_a_name(tmp_path):
    document = {"openapi": "3.0.0", "info": {"title": "The Über-Shop REST API"}, "paths": in_json(pets=LIST)}
    (tmp_path / "document.json").write_text(json.dumps(document))
    words = ["--from-openapi", str(tmp_path / "document.json"), "--output", str(tmp_path), "--no-input"]
    assert CliRunner().invoke(new, ["tap", *words]).exit_code == 0
    assert (tmp_path / "tap-uber-shop").is_dir()


def test_an_address_is_to_be_saved_first(caplog):
    done = CliRunner().invoke(new, ["tap", "--from-openapi", "https://example.com/openapi.json", "--no-input"])
    assert done.exit_code == 2
    assert "save what is at https://example.com/openapi.json first" in caplog.text


def test_what_the_document_says_can_not_be_said_again(tmp_path, caplog):
    words = ["--from-openapi", str(DOCUMENTS / "shop.yaml"), "--output", str(tmp_path)]
    assert CliRunner().invoke(new, ["tap", *words, "--auth", "basic"]).exit_code == 2
    assert "--auth and --from-openapi" in caplog.text
    assert CliRunner().invoke(new, ["target", *words]).exit_code == 2
    assert "makes a tap, not a target" in caplog.text
