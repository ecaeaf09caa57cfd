"""What the files of a scaffolded project say: that they can be read, fit their formats, and agree with each other."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import check_jsonschema
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

#: The commands of continuous integration, after the installation.
CHECKS = ("uv run ruff check", "uv run ruff format --check", "uv run mypy", "uv run pytest")
_SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor"
_GITHUB, _GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"
_CI = {"github": _GITHUB, "gitlab": _GITLAB, "none": None}
_LICENSES = {
    "Apache-2.0": "Apache License",
    "MIT": "MIT License",
    "BSD-3-Clause": "BSD 3-Clause License",
    "none": None,
}
_MENTIONED = re.compile(r"[`(]((?:\w+/)+\w+\.\w+|[A-Z_]+\.md|\w+\.(?:toml|yml)|config\.schema\.json)[`)]")


def problems_of(project: Path, answers: Mapping[str, str]) -> list[str]:
    """Give what is wrong with the files of a project."""
    return [f"{project.name} {' '.join(answers.values())}: {problem}" for problem in _problems(project, answers)]


def connector_digest(project: Path) -> str:
    """Give the digest of all files but for what licence and continuous integration change."""
    digest = hashlib.sha256()
    for name, path in _files(project):
        if name not in ("LICENSE", _GITHUB, _GITLAB):
            content = path.read_bytes()
            if name == "pyproject.toml":
                content = re.sub(rb"^license(-files)? = .*\n", b"", content, flags=re.MULTILINE)
            digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def contents(project: Path) -> dict[str, bytes]:
    """Give each file of a project."""
    return {name: path.read_bytes() for name, path in _files(project)}


def pipelines(project: Path) -> dict[str, Any]:
    """Give the pipelines that `singerkit run` knows in a project."""
    found: dict[str, Any] = tomllib.loads((project / "singer.toml").read_text(encoding="utf-8"))["pipelines"]
    return found


def _files(project: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        name = path.relative_to(project).as_posix()
        if "cache" not in name:  # what Python and the linters keep
            yield name, path


def _problems(project: Path, answers: Mapping[str, str]) -> Iterator[str]:
    documents: dict[str, Any] = {}
    for name, path in _files(project):
        parse = _PARSERS.get(path.suffix)
        if path.suffix == ".sqlite":
            continue
        text = path.read_text(encoding="utf-8")
        try:
            documents[name] = parse(text) if parse else text
        except (SyntaxError, ValueError, yaml.YAMLError) as error:
            yield f"{name} can't be read: {error}"
            return
        if re.search(r"cookiecutter\.|(?<!\$)\{\{|\{%", text):
            yield f"{name}: a part of the template was left"
        if name != "LICENSE" and text != f"{text.strip()}\n":
            yield f"{name}: begins or ends with empty lines"
    yield from _of_license(documents, answers)
    yield from _of_integration(documents, answers)
    yield from _of_settings(documents)
    yield from _of_meltano(documents)
    yield from _of_pages(project, documents)


def _parse_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    ".py": lambda text: compile(text, "file", "exec", dont_inherit=True),
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".jsonl": _parse_lines,
    ".yml": yaml.safe_load,
}


def _of_license(documents: Mapping[str, Any], answers: Mapping[str, str]) -> Iterator[str]:
    stated, title = documents["pyproject.toml"]["project"].get("license"), _LICENSES[answers["license"]]
    if (stated or "none") != answers["license"]:
        yield f"pyproject.toml states the licence {stated}"
    first = next((line.strip() for line in documents.get("LICENSE", "").splitlines() if line.strip()), None)
    if first != title:
        yield f"LICENSE begins with {first}"


def _of_integration(documents: Mapping[str, Any], answers: Mapping[str, str]) -> Iterator[str]:
    there = {name for name in (_GITHUB, _GITLAB) if name in documents}
    if there != {_CI[answers["ci"]]} - {None}:
        yield f"there is {there}, for --ci {answers['ci']}"
    if _GITHUB in documents:
        # YAML reads `on` as true.
        workflow = {("on" if name is True else name): value for name, value in documents[_GITHUB].items()}
        yield from _misfits(_GITHUB, "github-workflows", workflow)
        (job,) = workflow["jobs"].values()
        commands = [step["run"] for step in job["steps"] if "run" in step]
        if commands != ["uv sync", *CHECKS]:
            yield f"{_GITHUB} does {commands}"
    if _GITLAB in documents:
        yield from _misfits(_GITLAB, "gitlab-ci", documents[_GITLAB])
        if documents[_GITLAB]["test"]["script"] != list(CHECKS):
            yield f"{_GITLAB} does {documents[_GITLAB]['test']['script']}"


def _of_settings(documents: Mapping[str, Any]) -> Iterator[str]:
    schema = documents["config.schema.json"]
    Draft202012Validator.check_schema(schema)
    if "demo/config.json" in documents:
        found = Draft202012Validator(schema).iter_errors(documents["demo/config.json"])
        yield from (f"demo/config.json: {error.message}" for error in found)
    listed = set(re.findall(r"^\| `([\w-]+)` \|", documents["README.md"], re.MULTILINE))
    if listed != set(schema["properties"]):
        yield f"README.md lists the settings {sorted(listed)}, not {sorted(schema['properties'])}"


def _of_meltano(documents: Mapping[str, Any]) -> Iterator[str]:
    yield from _misfits("meltano.yml", "meltano", documents["meltano.yml"])
    plugins = documents["meltano.yml"]["plugins"]
    own = next(plugin for group in plugins.values() for plugin in group if plugin.get("pip_url") == "-e .")
    declared = {setting["name"] for setting in own.get("settings", ())}
    if "settings" in own and declared != set(documents["config.schema.json"]["properties"]):
        yield f"meltano.yml has the settings {sorted(declared)}"


def _of_pages(project: Path, documents: Mapping[str, Any]) -> Iterator[str]:
    for page in ("README.md", "NEXT_STEPS.md"):
        for name in _MENTIONED.findall(documents[page]):
            if not (project / name).exists():
                yield f"{page} mentions {name}, which is not there"


@cache
def _validator(schema: str) -> Any:
    rules = json.loads((_SCHEMAS / f"{schema}.json").read_text())
    return validator_for(rules)(rules)


def _misfits(name: str, schema: str, document: Any) -> Iterator[str]:
    yield from (f"{name}: {error.message}" for error in _validator(schema).iter_errors(document))
