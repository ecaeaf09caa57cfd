"""From what a person said, in options or in the terminal, to an answer for each question of a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.scaffold.templates import Question, Template, project_name

#: Puts a question to a person; gives what was typed, or the default.
Ask: TypeAlias = Callable[[Question], str]

#: Questions that make sense for some kinds of source only.
_OF_WEB = ("auth", "paging")
_WEB = {"tap": ("rest", "graphql"), "target": ("rest",), "mapper": ()}
#: The pages that GraphQL has: all at once, or a Relay connection.
_GRAPHQL_PAGING = ("cursor", "none")


def gather_answers(template: Template, given: Mapping[str, str], ask: Ask) -> dict[str, str]:
    """Give an answer to each question, asking for those that were not given and make sense.

    Errors: ``ConfigurationError`` for an answer that is no choice, that does not fit the others, or an unusable name.
    """
    stray = [name for name in given if name not in template.questions]
    if stray:
        raise ConfigurationError(f"--{stray[0]}: a {template.kind} has no such choice to make")
    answers: dict[str, str] = {}
    for question in template.questions.values():
        answers[question.name] = _answer(template.kind, _narrowed(question, answers), given, answers, ask)
    answers["name"] = project_name(template.kind, answers["name"]).removeprefix(f"{template.kind}-")
    return answers


def _answer(kind: str, question: Question, given: Mapping[str, str], so_far: Mapping[str, str], ask: Ask) -> str:
    applies = question.name not in _OF_WEB or so_far.get("source") in _WEB[kind]
    answer = given.get(question.name)
    if not applies:
        if answer not in (None, "none"):
            raise ConfigurationError(f"--{question.name} {answer}: only for --source {' or '.join(_WEB[kind])}")
        return "none"
    if answer is None:
        answer = ask(question)
    if question.name == "name":
        project_name(kind, answer)
    elif answer not in question.choices:
        choices = ", ".join(question.choices)
        raise ConfigurationError(
            f"--{question.name}: '{answer}' is none of {choices}{suggestion(answer, list(question.choices))}"
        )
    return answer


def _narrowed(question: Question, so_far: Mapping[str, str]) -> Question:
    """Give the question with the choices that what was answered before leaves."""
    if question.name != "paging" or so_far.get("source") != "graphql":
        return question
    choices = {name: question.choices[name] for name in _GRAPHQL_PAGING}
    return question._replace(choices={**choices, "cursor": "a Relay connection"}, default=_GRAPHQL_PAGING[0])
