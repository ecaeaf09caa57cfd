"""What a class would say when it is defined is said by the codemod before, with file and line."""

from __future__ import annotations

import textwrap

import pytest

from singerkit import RESTStream, SQLSink, SQLTarget, Stream, Tap
from singerkit.errors import ConfigurationError
from singerkit.port.overrides import classes_in, refused_overrides


def found(**files: str) -> list[tuple[str, int, str]]:
    classes = [
        each for name, text in files.items() for each in classes_in(textwrap.dedent(text).encode(), f"{name}.py")
    ]
    return [(finding.path, finding.line, finding.reason) for finding in refused_overrides(classes)]


def test_a_refused_override_is_found_where_it_is_defined() -> None:
    ((path, line, reason),) = found(
        streams="""\
            class Companies(ApiStream[int]):
                name = "companies"

                @property
                def schema(self): ...

                def _sync_children(self, child_context):
                    pass
        """,
        client="class ApiStream(RESTStream): name, path = 'a', 'b'\n",
    )
    assert (path, line) == ("streams.py", 7)
    assert reason.startswith("Companies._sync_children would never be called: override generate_child_contexts")


def test_attributes_and_properties_are_found_too() -> None:
    lines = [
        (line, reason.split(" ")[0])
        for _, line, reason in found(
            target="""\
                class TargetX(SQLTarget):
                    _MAX_RECORD_AGE_IN_MINUTES = 5
                    capabilities: list
                    a, drain_one = 1, None

                class SinkX(SQLSink):
                    connection: object = None
            """
        )
    ]
    assert lines == [(2, "TargetX._MAX_RECORD_AGE_IN_MINUTES"), (4, "TargetX.drain_one"), (7, "SinkX.connection")]


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def _sync_children(self): ...\n",
        "class A(Stream):\n    def get_records(self, context):\n        self._sync_children(context)\n",
        "class Stream(Other):\n    def _sync_children(self): ...\n",
    ],
)
def test_what_is_called_is_not_refused(text: str) -> None:
    assert found(streams=text) == []


@pytest.mark.parametrize(
    ("base", "member"),
    [
        (Stream, "_sync_records"),
        (RESTStream, "sync"),
        (Tap, "load_state"),
        (SQLTarget, "add_sqlsink"),
        (SQLSink, "is_full"),
    ],
)
def test_class_and_codemod_say_the_same(base: type, member: str) -> None:
    ((_, _, reason),) = found(code=f"class Mine({base.__name__}):\n    def {member}(self): ...\n")
    with pytest.raises(ConfigurationError) as refused:
        type("Mine", (base,), {member: lambda self: None})
    assert str(refused.value).partition(": ")[2] == reason.partition(": ")[2]
