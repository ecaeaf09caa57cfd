"""What a class would say when it is defined is said by the codemod before, with file and line."""

from __future__ import annotations

import textwrap

import pytest

import singerkit
from singerkit import RESTStream, SQLSink, SQLTarget, Stream, Tap
from singerkit.compat.members import MISSING_MEMBERS
from singerkit.errors import ConfigurationError
from singerkit.port.overrides import _ANSWERS, classes_in, missing_members, refused_overrides


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
        (SQLSink, "check_string_key_properties"),
    ],
)
def test_class_and_codemod_say_the_same(base: type, member: str) -> None:
    ((_, _, reason),) = found(code=f"class Mine({base.__name__}):\n    def {member}(self): ...\n")
    with pytest.raises(ConfigurationError) as refused:
        type("Mine", (base,), {member: lambda self: None})
    assert str(refused.value).partition(": ")[2] == reason.partition(": ")[2]


def missing(text: str) -> list[tuple[int, str]]:
    findings = missing_members(classes_in(textwrap.dedent(text).encode(), "x.py"))
    return [(finding.line, finding.reason.partition(":")[0]) for finding in findings]


def test_members_that_are_used_and_not_there_are_found() -> None:
    assert missing(
        """\
        class Sheets(ApiStream):
            def get_records(self, context):
                self._write_state_message()
                self._write_state_message()
                return super()._sync_records(context)

        class ApiStream(RESTStream):
            def start(self):
                return self.get_context_state(None), self._tap, self.selected, self.context, self._client

        class TargetX(SQLTarget):
            def count(self):
                return len(self._sinks_active)
        """
    ) == [
        (3, "Sheets uses _write_state_message, which is not there"),
        (5, "Sheets uses _sync_records, which is not there"),
        (9, "ApiStream uses context, which is not there"),
        (13, "TargetX uses _sinks_active, which is not there"),
    ]


def test_members_that_the_connector_makes_itself_are_its_own() -> None:
    assert not missing(
        """\
        class Sheets(Stream):
            def __init__(self, tap):
                self.context = {}

            def get_records(self, context):
                return self.context, self.mask

        class Base(Stream):
            mask = None
        """
    )


def test_no_member_is_said_to_be_missing_that_is_there() -> None:
    for kind, members in MISSING_MEMBERS.items():
        assert not members.keys() & set(dir(getattr(singerkit, kind)))


def test_a_class_of_any_kind_is_judged() -> None:
    for kind in _ANSWERS:
        assert missing(f"class Mine({kind}):\n    def f(self):\n        return self.config\n") == []
