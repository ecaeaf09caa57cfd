"""`singerkit new tap --from-openapi`: taps from three documents of different kinds read APIs that do what these say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import scaffolded
from click.testing import CliRunner

from singerkit.cli.commands.new import new
from singerkit_testing.fake_server import FakeServer, Response

DOCUMENTS = Path(__file__).parent / "openapi"
MYPY_CACHE = str(Path(__file__).parents[2] / ".mypy_cache/scaffold")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taps")
    found = {}
    for name in ("shop.yaml", "fleet.json", "ledger.yaml"):
        words = ["tap", "--from-openapi", str(DOCUMENTS / name), "--output", str(folder), "--no-input"]
        done = CliRunner().invoke(new, words)
        assert done.exit_code == 0, done.output
        found[Path(name).stem] = (folder / f"tap-{Path(name).stem}", done.output)
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


def test_what_is_not_decided_is_listed(made):
    assert "GET /orders/{order_id}/lines: a child of /orders" in made["shop"][1]
    assert "GET /depots/{depot}/alarms: which properties tell a record from others?" in made["fleet"][1]
    assert "GET /v1/accounts: 'created_after' asks for what is new, but by which property?" in made["ledger"][1]
    assert "GET /v1/accounts: the parameter 'tenant' is required" in made["ledger"][1]


def test_they_are_clean_and_run_from_their_recordings(made):
    folder = made["shop"][0].parent
    scaffolded.run([sys.executable, "-m", "ruff", "check", "--exclude", "recordings", "."], folder)
    scaffolded.run([sys.executable, "-m", "ruff", "format", "--check", "."], folder)
    packages = [str(next(project.glob("*/__init__.py")).parent) for project, _ in made.values()]
    scaffolded.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", MYPY_CACHE, *packages], folder)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
    ]
    few = "not Test or (TestTapShop and (TAP-008 or STA-001))"
    paths = scaffolded.paths_of(project for project, _ in made.values())
    scaffolded.run([*words, f"--rootdir={folder}", "-k", few, "."], folder, PYTHONPATH=paths)


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


def test_what_the_document_says_can_not_be_said_again(tmp_path, caplog):
    words = ["--from-openapi", str(DOCUMENTS / "shop.yaml"), "--output", str(tmp_path)]
    assert CliRunner().invoke(new, ["tap", *words, "--auth", "basic"]).exit_code == 2
    assert "--auth and --from-openapi" in caplog.text
    assert CliRunner().invoke(new, ["target", *words]).exit_code == 2
    assert "makes a tap, not a target" in caplog.text
