"""Where the templates are, what they ask, and how a project is made of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from singerkit.errors import ConfigurationError, MissingExtraError

KINDS = ("tap", "target", "mapper")

_PACKAGE = Path(__file__).parents[1]
#: In an installed package beside its modules, in a checkout at the top of the repository.
_FOLDERS = (_PACKAGE / "cookiecutter", _PACKAGE.parents[1] / "cookiecutter")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Question(NamedTuple):
    """What a template asks.

    Shape: ``choices`` maps each answer to what it means, the default first; empty where any text will do.
    """

    name: str
    text: str
    choices: Mapping[str, str]
    default: str


class Template:
    """The template of a kind of connector."""

    def __init__(self, kind: str) -> None:
        """Take the kind: one of ``KINDS``."""
        self.kind = kind

    @cached_property
    def folder(self) -> Path:
        """Where it is.

        Errors: ``ConfigurationError`` in an installation that lacks it.
        """
        for folder in _FOLDERS:
            if (folder / self.kind / "cookiecutter.json").is_file():
                return folder / self.kind
        raise ConfigurationError(f"this installation of singerkit has no template for a {self.kind}: install it again")

    @cached_property
    def questions(self) -> dict[str, Question]:
        """What it asks, by name, in order."""
        document = json.loads((self.folder / "cookiecutter.json").read_text(encoding="utf-8"))
        texts = document["__prompts__"]
        return {
            name: _question(name, answers, texts.get(name, name))
            for name, answers in document.items()
            if not name.startswith("_")
        }

    def make(self, answers: Mapping[str, str], parent: Path, extras: Mapping[str, Any] | None = None) -> Path:
        """Make a project in a folder of its own; gives that folder. ``extras`` are variables that are no answers.

        Errors: ``MissingExtraError`` without cookiecutter; ``ConfigurationError`` when the folder is there already or
        can't be written.
        """
        generate = generator()
        project = self.place(answers["name"], parent)
        generate(self.folder, answers, parent, extras or {})
        return project

    def place(self, name: str, parent: Path) -> Path:
        """Give the folder that a project of this name will have.

        Errors: ``ConfigurationError`` for what can't be a name, or when the folder is there already.
        """
        project = parent / project_name(self.kind, name)
        if project.exists():
            raise ConfigurationError(f"there is a '{project}' already: choose another name, or --output another folder")
        return project


def project_name(kind: str, name: str) -> str:
    """Give what the project is called: ``tap-shop`` for ``shop``, and for ``tap-shop``.

    Errors: ``ConfigurationError`` for what can't be a name.
    """
    stem = name.removeprefix(f"{kind}-")
    if not _NAME.fullmatch(stem):
        raise ConfigurationError(
            f"'{name}' can't be a name: use lower-case letters and digits, words joined by dashes, such as my-shop"
        )
    return f"{kind}-{stem}"


def _question(name: str, answers: Any, texts: Any) -> Question:
    if isinstance(answers, str):
        return Question(name, str(texts), {}, answers)
    meanings = texts if isinstance(texts, dict) else {"__prompt__": texts}
    return Question(name, meanings["__prompt__"], {answer: meanings.get(answer, "") for answer in answers}, answers[0])


def generator() -> Any:
    """Give the function that renders a template.

    Errors: ``MissingExtraError``.
    """
    try:
        from cookiecutter.generate import generate_context, generate_files
        from cookiecutter.prompt import prompt_for_config
    except ImportError:
        raise MissingExtraError("making a connector needs cookiecutter: pip install 'singerkit[scaffold]'") from None

    def generate(template: Path, answers: Mapping[str, str], parent: Path, extras: Mapping[str, Any]) -> None:
        # Not `cookiecutter.main`, which reads the user's settings and keeps every answer in the home folder.
        context = generate_context(str(template / "cookiecutter.json"), extra_context=dict(answers))
        context["cookiecutter"] = {**prompt_for_config(context, no_input=True), **extras}
        try:
            generate_files(str(template), context, output_dir=str(parent))
        except OSError as error:
            raise ConfigurationError(f"can't write the project to '{parent}': {error.strerror or error}") from error

    return generate
