"""`singerkit new tap --from-openapi`: the template for REST, with streams from the document and a recording of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize
from urllib.parse import urlsplit

from singerkit.errors import ConfigurationError, DiscoveryError, MissingExtraError
from singerkit.scaffold.answers import Ask, gather_answers
from singerkit.scaffold.openapi_code import Source, streams_module
from singerkit.scaffold.openapi_document import APIDocument, Credentials
from singerkit.scaffold.openapi_samples import STARTS, Sampled, sample_api
from singerkit.scaffold.openapi_streams import plan_streams
from singerkit.scaffold.templates import Template

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_UNKNOWN_URL = "https://api.example.com"
#: What the recording is made with, for each kind of credentials. A secret is masked wherever it is found, so it has to
#: be different from all else.
_CLIENT = {"client_id": "the-demo", "client_secret": "c1ient-secret"}
_CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "bearer": {"token": "t0ken-of-the-demo"},
    "api-key": {"api_key": "t0ken-of-the-demo"},
    "basic": {"username": "ada", "password": "passw0rd-of-ada"},
    "oauth-client": _CLIENT,
    "oauth-refresh": {**_CLIENT, "refresh_token": "r3fresh-token"},
}


#: Runs the tap of a module with one config after another, as long as it ends well.
_RUNS = """
import sys
from importlib import import_module
from singerkit import Tap
module, *files = sys.argv[1:]
tap = next(each for each in vars(import_module(module + ".tap")).values() if getattr(each, "__base__", None) is Tap)
for file in files:
    code = tap.cli.main(["--config", file, "--record", "recordings"], standalone_mode=False)
    if code:
        sys.exit(code)
"""


class Made(NamedTuple):
    """A project that was made, and what its author has to decide."""

    folder: Path
    answers: dict[str, str]
    undecided: list[str]


def make_from_openapi(template: Template, given: Mapping[str, str], path: str, output: Path, ask: Ask) -> Made:
    """Make a tap from a document.

    Errors: ``ConfigurationError`` for a document without a stream, and answers that the document gives already.
    """
    if template.kind != "tap":
        raise ConfigurationError(f"--from-openapi makes a tap, not a {template.kind}")
    told = [name for name in ("source", "auth", "paging") if name in given]
    if told:
        raise ConfigurationError(f"--{told[0]} and --from-openapi: the document says that")
    if urlsplit(path).scheme in ("http", "https"):
        raise ConfigurationError(
            f"--from-openapi takes a file: save what is at {path} first, it becomes part of the tap"
        )
    file = Path(path)
    document = APIDocument(file)
    streams, undecided = _with_schemas(document)
    if not streams:
        raise ConfigurationError(f"--from-openapi: '{path}' has no GET that answers with a list of objects in JSON")
    credentials, open_questions = document.credentials()
    name = next(filter(_NAME.fullmatch, (_named(document.title), _named(file.stem))), None)
    known = {"name": name} if name else {}
    web = {"source": "rest", "auth": credentials.kind, "paging": "none"}
    answers = gather_answers(template, {**known, **given, **web}, ask)
    url = document.url
    if not urlsplit(url).netloc:
        url = f"{_UNKNOWN_URL}{url}"
        open_questions.append(f"the document does not say where the API is: {url} is only an example")
    undecided += open_questions
    source = Source(f"openapi{file.suffix}", streams, credentials)
    folder = template.make(answers, output, _extras(source, url) | {"_undecided": undecided})
    module = next(folder.glob("*/streams.py")).parent
    (module / source.file_name).write_bytes(file.read_bytes())
    _record(folder, module.name, streams, credentials, url)
    return Made(folder, answers, undecided)


def _named(title: str) -> str:
    """Give what a project of an API may be called: ``crm`` for The CRM REST API."""
    plain = normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\b(the|rest|api)\b", " ", plain)).strip("-")


def _with_schemas(document: APIDocument) -> tuple[list[Sampled], list[str]]:
    """Give the streams with the schemas that their taps will have."""
    plans, undecided = plan_streams(document)
    streams: list[Sampled] = []
    for plan in plans:
        named = plan._replace(schema_pointer=document.schema_key(plan.schema_pointer))
        try:
            schema = document.schemas.get_schema(named.schema_pointer, key_properties=plan.primary_keys)
        except DiscoveryError as error:
            undecided.append(f"GET {plan.operation.path}: no stream, since {error}")
            continue
        streams.append(Sampled(named, schema))
    return streams, undecided


def _extras(source: Source, url: str) -> dict[str, Any]:
    """Give what the template takes besides answers."""
    parts = dict.fromkeys(part for stream in source.streams for part in stream.plan.parts)
    settings = [
        {"name": part, "type": "StringType", "required": True, "demo": "demo", "description": f"The {part} in paths."}
        for part in parts
    ]
    if source.credentials.token_url:
        token_url = _absolute(source.credentials.token_url, url)
        described = "Where tokens are got."
        settings.append({"name": "token_url", "type": "URIType", "default": token_url, "description": described})
    extra = "[yaml]" if source.file_name.endswith((".yaml", ".yml")) else ""
    stream = source.streams[0].plan.name
    return {
        "_openapi": streams_module(source),
        "_stream": stream,
        "_api_url": url,
        "_settings": settings,
        "_extra": extra,
    }


def _absolute(token_url: str, url: str) -> str:
    return token_url if urlsplit(token_url).scheme else f"{url}/{token_url.lstrip('/')}"


def _record(folder: Path, module: str, streams: list[Sampled], credentials: Credentials, url: str) -> None:
    """Have the tap read an API that answers as the document says, and keep the answers.

    Errors: ``ConfigurationError`` when the tap can't read it, which a document may cause that contradicts itself.
    """
    try:
        server_class = import_module("singerkit_testing.fake_server").FakeServer
    except ImportError:
        raise MissingExtraError("making a recording needs the harness: pip install 'singerkit[scaffold]'") from None
    path = urlsplit(url).path.rstrip("/")
    with server_class(sample_api(streams, url)) as server, tempfile.TemporaryDirectory() as private:
        given = {**_CREDENTIALS[credentials.kind], **{part: "demo" for each in streams for part in each.plan.parts}}
        config = {"api_url": f"{server.url}{path}", **given}
        if credentials.token_url:
            config["token_url"] = server.url + urlsplit(_absolute(credentials.token_url, url)).path
        # Where nothing is incremental, all runs would ask for the same.
        starts = STARTS if any(stream.plan.incremental for stream in streams) else STARTS[:1]
        files = [Path(private) / f"{number}.json" for number in range(len(starts))]
        for file, start in zip(files, starts, strict=True):
            file.write_text(json.dumps({**config, **({"start_date": start} if start else {})}), encoding="utf-8")
        words = [sys.executable, "-c", _RUNS, module, *map(str, files)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        said = next((line for line in reversed(lines) if " CRITICAL " in line), lines[-1])
        raise ConfigurationError(f"the tap in '{folder}' can't read what its document describes: {said}")
    _keep_config(folder / "recordings/recording.json", given)


def _keep_config(file: Path, given: Mapping[str, str]) -> None:
    """Leave what replays take by default, as the address, out of the recording's config."""
    recording = json.loads(file.read_text(encoding="utf-8"))
    config = {name: recording["config"][name] for name in given}
    recording["config"] = {**config, "start_date": STARTS[1]}
    file.write_text(json.dumps(recording, indent=2) + "\n", encoding="utf-8")
