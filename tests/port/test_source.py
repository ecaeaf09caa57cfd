"""Source in, source out; what came out comes out again as it is."""

from __future__ import annotations

import textwrap

import pytest

from singerkit.port.source import PortedSource, port_source


def ported(text: str) -> PortedSource:
    made = port_source(textwrap.dedent(text).encode(), "tap_x/tap.py")
    assert port_source(made.code, "tap_x/tap.py").code == made.code, "a second time changes nothing"
    return made


def code_of(text: str) -> str:
    made = ported(text)
    assert made.findings == []
    return made.code.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from singer_sdk import Tap, typing as th", "from singerkit import Tap, typing as th"),
        ("import singer_sdk.typing as th", "from singerkit import typing as th"),
        ("from singer_sdk.typing import *", "from singerkit.typing import *"),
        ("from singer_sdk.helpers.types import Context, Record", "from singerkit.types import Context, Record"),
        ("from singer_sdk.streams.core import Stream", "from singerkit import Stream"),
        ("from singer_sdk.streams.core import REPLICATION_INCREMENTAL", None),
        (
            "from singer_sdk.exceptions import FatalAPIError as Fatal",
            "from singerkit.errors import FatalAPIError as Fatal",
        ),
        ("from singer_sdk._singerlib import CatalogEntry", "from singerkit.protocol.catalog import CatalogEntry"),
        ("from singer_sdk.helpers._typing import append_type", "from singerkit.typing import append_type"),
        ("from singer_sdk.helpers._util import utc_now", "from singerkit.clock import utc_now"),
        ("from singer_sdk.testing import get_tap_test_class", "from singerkit_testing import get_tap_test_class"),
        ("from singer_sdk.testing.templates import TapTestTemplate", None),
        ("from singer_sdk.helpers._compat import final", "from typing import final"),
        ("from .client import singer_sdk", "from .client import singer_sdk"),
    ],
)
def test_an_import_moves(before: str, after: str | None) -> None:
    expected = after or before.replace("singer_sdk.testing", "singerkit_testing").replace("singer_sdk", "singerkit")
    assert code_of(before + "\n") == expected + "\n"


def test_a_name_that_is_called_differently_keeps_its_name_in_the_file() -> None:
    before = """\
        from singer_sdk.helpers._catalog import set_catalog_stream_selected

        set_catalog_stream_selected(catalog, "a", selected=True)
    """
    after = """\
        from singerkit.protocol.catalog import set_selected as set_catalog_stream_selected

        set_catalog_stream_selected(catalog, "a", selected=True)
    """
    assert code_of(before) == textwrap.dedent(after)


def test_names_of_one_import_go_to_their_modules_and_comments_stay() -> None:
    before = """\
        # what the tap is made of
        from singer_sdk.streams.rest import PageContext, RESTStream  # noqa: F401
        x = 1
    """
    after = """\
        # what the tap is made of
        from singerkit.streams.rest import PageContext
        from singerkit import RESTStream  # noqa: F401
        x = 1
    """
    assert code_of(before) == textwrap.dedent(after)


def test_the_layout_of_a_long_import_stays() -> None:
    before = """\
        from singer_sdk.authenticators import (
            BasicAuthenticator,  # for the old API
            BearerTokenAuthenticator,
        )
    """
    assert code_of(before) == textwrap.dedent(before).replace("singer_sdk.authenticators", "singerkit")


def test_members_of_a_module_whose_names_are_scattered_are_imported_one_by_one() -> None:
    before = """\
        from singer_sdk import singerlib as singer

        def write(catalog: singer.Catalog) -> singer.RecordMessage:
            singer = 1
            return singer.bit_length()
    """
    after = """\
        from singerkit.protocol.catalog import Catalog
        from singerkit.protocol.messages import RecordMessage

        def write(catalog: Catalog) -> RecordMessage:
            singer = 1
            return singer.bit_length()
    """
    assert code_of(before) == textwrap.dedent(after)


def test_members_of_a_module_that_moves_as_a_whole_stay_as_they_are() -> None:
    before = """\
        from singer_sdk import metrics, typing as th
        from singer_sdk.helpers import types

        counter: types.Record = metrics.record_counter("a")
    """
    after = """\
        from singerkit.telemetry import metrics
        from singerkit import typing as th
        from singerkit import types

        counter: types.Record = metrics.record_counter("a")
    """
    assert code_of(before) == textwrap.dedent(after)


def test_names_that_are_written_in_full_are_moved_with_their_import() -> None:
    before = """\
        import singer_sdk
        import singer_sdk.typing, os

        class TapX(singer_sdk.Tap):
            kind = singer_sdk.typing.StringType
    """
    after = """\
        import singerkit
        import singerkit.typing
        import singerkit.typing
        import os

        class TapX(singerkit.Tap):
            habits = "singer-sdk"
            kind = singerkit.typing.StringType
    """
    assert code_of(before) == textwrap.dedent(after)


def test_texts_that_name_something_to_patch_are_moved() -> None:
    made = code_of(
        'mock.patch("singer_sdk.streams.core.Stream._sync_children")\nnot_code = "singer_sdk is a package"\n'
    )
    assert made == 'mock.patch("singerkit.Stream._sync_children")\nnot_code = "singer_sdk is a package"\n'


def test_what_chooses_the_json_library_is_dropped() -> None:
    before = """\
        from singer_sdk import Tap
        from singer_sdk.contrib.msgspec import MsgSpecWriter

        class TapX(Tap):
            name = "tap-x"
            message_writer_class = MsgSpecWriter

        class TapY(TapX):
            message_writer_class = MsgSpecWriter
    """
    after = """\
        from singerkit import Tap

        class TapX(Tap):
            name = "tap-x"
            habits = "singer-sdk"

        class TapY(TapX):
            pass
    """
    assert code_of(before) == textwrap.dedent(after)


def test_a_plugin_that_pytest_finds_by_itself_is_no_longer_named() -> None:
    assert code_of('"""Tests."""\npytest_plugins = ("singer_sdk.testing.pytest_plugin",)\n') == '"""Tests."""\n'


def test_a_name_without_a_counterpart_stays_and_is_listed() -> None:
    made = ported("import os\nfrom singer_sdk.helpers._state import increment_state\nfrom singer_sdk import Tap\n")
    assert made.code == b"import os\nfrom singer_sdk.helpers._state import increment_state\nfrom singerkit import Tap\n"
    (finding,) = made.findings
    assert (finding.path, finding.line) == ("tap_x/tap.py", 2)
    assert "singer_sdk.helpers._state.increment_state: the state has one owner" in finding.reason
    assert finding.page.startswith("docs/how-to/port-a-connector.md#")


def test_of_one_import_what_can_be_moved_is_moved() -> None:
    made = ported("from singer_sdk.helpers._typing import append_type, no_such_name\n")
    assert made.code.decode().splitlines() == [
        "from singerkit.typing import append_type",
        "from singer_sdk.helpers._typing import no_such_name",
    ]
    assert "no_such_name: singerkit has no counterpart" in made.findings[0].reason


def test_a_module_with_a_member_that_can_t_be_moved_stays() -> None:
    before = "from singer_sdk import singerlib\n\nsingerlib.write_message(singerlib.StateMessage({}))\n"
    made = ported(before)
    assert made.code.decode() == before
    assert "messages are written by the engine" in made.findings[0].reason


def test_line_ends_and_encoding_stay() -> None:
    assert port_source(b"# -*- coding: latin-1 -*-\r\nfrom singer_sdk import Tap  # \xe9\r\n", "x.py").code == (
        b"# -*- coding: latin-1 -*-\r\nfrom singerkit import Tap  # \xe9\r\n"
    )


GUARDS = [
    """
        if not self._emitted:
            super()._write_schema_message()
            self._emitted = True
    """,
    """
        if self._emitted:
            return
        super()._write_schema_message()
        self._emitted = True
    """,
]
TAP = """\
    from singer_sdk import Stream

    class Runs(Stream):
        name = "runs"

        def _write_schema_message(self) -> None:
            \"\"\"Write it once.\"\"\"
"""


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_against_a_second_schema_message_is_dropped(guard: str) -> None:
    code = textwrap.dedent(TAP) + textwrap.indent(textwrap.dedent(guard), " " * 8)
    assert code_of(code) == 'from singerkit import Stream\n\nclass Runs(Stream):\n    name = "runs"\n'


@pytest.mark.parametrize(
    "body",
    [
        "super()._write_schema_message()\nself.count += 1\n",
        "self._emitted = True\n",
        "if self.a and self.b:\n    super()._write_schema_message()\n",
    ],
)
def test_an_override_that_does_more_stays(body: str) -> None:
    code = textwrap.dedent(TAP) + textwrap.indent(body, " " * 8)
    assert "_write_schema_message" in ported(code).code.decode()


SKIPS = [
    """
        if child_context is not None:
            super()._sync_children(child_context)
    """,
    """
        if child_context is None:
            return None
        for child_stream in self.child_streams:
            if child_stream.selected or child_stream.has_selected_descendents:
                child_stream.sync(context=child_context)
    """,
    """
        for child in self.child_streams:
            if child.selected or child.has_selected_descendents:
                child.sync(child_context)
    """,
    """
        if child_context is None:
            return
        return super()._sync_children(child_context=child_context)
    """,
]
PARENT = """\
    from singer_sdk import Stream

    class Projects(Stream):
        name = "projects"

        def _sync_children(self, child_context: dict | None) -> None:
            \"\"\"Only where there is something to read.\"\"\"
"""


@pytest.mark.parametrize("body", SKIPS)
def test_an_override_that_skips_children_without_a_context_is_dropped(body: str) -> None:
    code = textwrap.dedent(PARENT) + textwrap.indent(textwrap.dedent(body), " " * 8)
    assert code_of(code) == 'from singerkit import Stream\n\nclass Projects(Stream):\n    name = "projects"\n'


@pytest.mark.parametrize(
    "body",
    [
        "if child_context is None:\n    super()._sync_children(child_context)\n",
        "if child_context is not None:\n    super()._sync_children(child_context)\n    self.count += 1\n",
        "if child_context is not None:\n    super()._sync_children({**child_context, 'a': 1})\n",
        "if child_context is not None:\n    super()._sync_children(child_context)\nelse:\n    self.skipped += 1\n",
        "if child_context:\n    super()._sync_children(child_context)\n",
        "if child_context is None:\n    return\n",
        "for child in self.child_streams:\n    if child.selected:\n        child.sync(child_context)\n",
        "for child in self.child_streams[:1]:\n"
        "    if child.selected or child.has_selected_descendents:\n        child.sync(child_context)\n",
        "for child in self.child_streams:\n"
        "    if child.selected or child.has_selected_descendents:\n        other.sync(child_context)\n",
    ],
)
def test_an_override_that_reads_children_differently_stays(body: str) -> None:
    code = textwrap.dedent(PARENT) + textwrap.indent(body, " " * 8)
    assert "_sync_children" in ported(code).code.decode()


def test_a_tap_goes_on_writing_the_catalog_that_it_wrote() -> None:
    before = """\
        from singer_sdk import SQLTap, Tap, tap_base

        class TapX(Tap):
            "Reads X."

            package_name = "tap-x"
            name: str = "tap-x"

        class TapY(TapX):
            name = "tap-y"

        class TapZ(tap_base.Tap):
            "Reads Z."

        class TapS(SQLTap):
            name = "tap-s"
    """
    after = """\
        from singerkit import SQLTap, Tap, taps as tap_base

        class TapX(Tap):
            "Reads X."

            package_name = "tap-x"
            name: str = "tap-x"
            habits = "singer-sdk"

        class TapY(TapX):
            name = "tap-y"

        class TapZ(tap_base.Tap):
            "Reads Z."
            habits = "singer-sdk"

        class TapS(SQLTap):
            name = "tap-s"
    """
    assert code_of(before) == textwrap.dedent(after)
    in_tests = port_source(textwrap.dedent(before).encode(), "tests/test_x.py").code.decode()
    assert "habits =" not in in_tests
