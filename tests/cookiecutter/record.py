"""Makes the recordings that scaffolded taps run from: `python tests/cookiecutter/record.py`.

A tap with each kind of paging and credentials reads the demo's API, in full and from every bookmark that its tests and
the conformance rules resume from. What it was answered goes into the template, in a folder for each kind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from cookiecutter.main import cookiecutter
from demo_api import CREDENTIALS, demo_api

from singerkit_testing.fake_server import FakeServer

TEMPLATES = Path(__file__).parents[2] / "cookiecutter"
RECORDINGS = TEMPLATES / "tap/{{cookiecutter.__project}}/recordings"
#: Where runs begin: nowhere, before all, in the middle, at the last record and after all: what the rules ask for.
STARTS = [None, "2024-01-01T00:00:00Z", "2024-03-03T10:00:00Z", "2024-03-05T10:00:00Z", "2999-12-31T00:00:00Z"]
PAGING = {"rest": ["none", "page", "offset", "cursor", "link", "next-url", "keyset"], "graphql": ["none", "cursor"]}


def record(folder: Path, source: str, auth: str, paging: str) -> Path:
    """Have a tap of this kind read the demo's API; gives the folder with the answers."""
    answers = {"source": source, "auth": auth, "paging": paging}
    project = Path(cookiecutter(str(TEMPLATES / "tap"), no_input=True, extra_context=answers, output_dir=str(folder)))
    shutil.rmtree(project / "recordings")
    with FakeServer(demo_api(auth, paging)) as server:
        for start in STARTS:
            config = {"api_url": f"{server.url}/v1", **CREDENTIALS[auth], **({"start_date": start} if start else {})}
            (project / "config.json").write_text(json.dumps(config), encoding="utf-8")
            command = [sys.executable, "-m", "tap_shop", "--config", "config.json", "--record", "recordings"]
            subprocess.run(command, cwd=project, check=True, capture_output=True)
    return project / "recordings"


def keep(recorded: Path, group: str, pattern: str) -> None:
    """Put answers into the template; what `recording.json` says is a template of its own."""
    shutil.rmtree(RECORDINGS / group, ignore_errors=True)
    (RECORDINGS / group).mkdir()
    for answer in recorded.glob(pattern):
        if answer.name != "recording.json":
            shutil.copy(answer, RECORDINGS / group)
    print(group, len(list((RECORDINGS / group).iterdir())))


def main() -> None:
    """Record every kind."""
    with TemporaryDirectory() as folder:
        for source, kinds in PAGING.items():
            for paging in kinds:
                place = Path(folder) / f"{source}-{paging}"
                keep(record(place, source, "none", paging), place.name, "*.json")
        for auth in ("oauth-client", "oauth-refresh", "login"):
            keep(record(Path(folder) / auth, "rest", auth, "none"), auth, "POST_*.json")


if __name__ == "__main__":
    main()
