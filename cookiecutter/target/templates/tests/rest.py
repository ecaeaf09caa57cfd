{% set config, header, value = {
  "none": ("", "", ""),
  "bearer": ('"token": "demo"', "authorization", '"Bearer demo"'),
  "api-key": ('"api_key": "demo"', "x-api-key", '"demo"'),
  "basic": ('"username": "ada", "password": "demo"', "authorization", '"Basic YWRhOmRlbW8="'),
}[cookiecutter.__auth] %}
"""The tests of the target, with an API that keeps what it is sent in memory."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from singerkit_testing import SuiteConfig, get_target_test_class, target_sync_test
from singerkit_testing.fake_server import FakeServer, Request, Response

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

MESSAGES = Path(__file__).parents[1] / "demo/messages.jsonl"
KEPT: dict[str, dict[str, dict[str, Any]]] = {}  # path: key: record


def respond(request: Request) -> Response:
    """Answer as the API would: a record replaces the one with its key."""
{% if header %}
    if request.headers.get("{{ header }}") != {{ value }}:
        return Response(status=401)
{% endif %}
    sent = json.loads(request.body, parse_float=Decimal)
    kept = KEPT.setdefault(request.path, {})
    for record in sent["records"]:
        key = [record[name] for name in sent["keys"]] or len(kept)
        kept[json.dumps(key, default=str)] = record
    return Response(status=204)


def stored(stream: str, workdir: Path) -> list[dict[str, Any]]:
    """Read back what was stored of a stream."""
    return list(KEPT.get(f"{workdir}/{quote(stream, safe='')}", {}).values())


SERVER = FakeServer(respond).__enter__()  # it ends with the process


def config_of(path: str) -> dict[str, str]:
    """Give the config for a part of the API."""
    return {"api_url": SERVER.url + path{{ ", " ~ config if config }}}


# Each rule of the Singer specification.
Test{{ cookiecutter.__class }} = get_target_test_class(
    {{ cookiecutter.__class }},
    config=config_of("{workdir}"),
    suite_config=SuiteConfig(reader=stored, bypass={"TGT-142": "an API has no folder that could be a file"}),
)


def test_a_second_load_replaces_what_has_the_same_key() -> None:
    """A batch that comes again changes nothing."""
    for _ in range(2):
        with MESSAGES.open(encoding="utf-8") as messages:
            target_sync_test({{ cookiecutter.__class }}(config=config_of("/again")), messages)
    assert [order["id"] for order in KEPT["/again/orders"].values()] == [11, 12, 13]


if __name__ == "__main__":  # the demo: `python tests/test_target.py < demo/messages.jsonl`
    {{ cookiecutter.__class }}(config=config_of("")).listen()
    sys.stderr.write("\n".join(f"{path}: {record}" for path, kept in KEPT.items() for record in kept.values()) + "\n")
