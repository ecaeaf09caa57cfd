"""`--preview STREAM`: what is asked of the source, what it answers, and the first records as tables. No messages."""

from __future__ import annotations

import io
import json
import os
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import ParseResult

from rich.console import Console
from rich.text import Text

from singerkit.cli.tables import record_tables
from singerkit.cli.watch import Exchange, Reading, Watch
from singerkit.http.scrub import Scrubber
from singerkit.protocol.writer import claim_stdout, write_to
from singerkit.telemetry.redact import escape_controls

if TYPE_CHECKING:
    import requests

#: Characters of a line where no terminal says how many it has.
_PLAIN_WIDTH = 120
_LONGEST_TOKEN = 40
_LONGEST_PARAMETER = 80
_REDIRECT = 300
_CLIENT_ERROR = 400
_EXCERPT_BYTES = 2_000
_LONGEST_EXCERPT = 300


def show_preview(tap: Any, stream_name: str, limit: int) -> None:
    """Read the first records of a stream and show them, with the requests that it took.

    Errors: what the run gives, after what came before it was shown; ``OutputClosed`` when nobody looks any more.
    """
    out = _Out(claim_stdout())
    console = Console(file=cast("IO[str]", out), highlight=False, width=_width(out))
    preview = _Preview(console, Scrubber(getattr(tap.config, "secrets", ())))
    watch = Watch(preview.scrubber, preview.show_exchange)
    tap.preview(stream_name, limit, watch)
    preview.show_records(watch.reading, stream_name)


class _Out(io.TextIOBase):
    """The real stdout: what an author's code prints goes elsewhere."""

    encoding = "utf-8"

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._write = write_to(descriptor)

    def write(self, text: str) -> int:
        self._write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        return self._descriptor


def _width(out: _Out) -> int | None:
    """Give the width where nobody else knows it: rich asks the terminal."""
    if out.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else _PLAIN_WIDTH


class _Preview:
    """What is shown, from top to bottom."""

    def __init__(self, console: Console, scrubber: Scrubber) -> None:
        self.scrubber = scrubber
        self._console = console
        self._exchanges = 0

    def show_exchange(self, exchange: Exchange) -> None:
        """Print a request and what came of it."""
        self._exchanges += 1
        self._print_indented(f"{self._exchanges:>3}  ", self._request(exchange))
        self._print_indented("     ", self._answer(exchange))
        if exchange.response is not None and (excerpt := _excerpt(exchange.response)):
            self._print_indented("     ", Text(_short(self.scrubber.text(excerpt), _LONGEST_EXCERPT), "dim"))

    def show_records(self, reading: Reading, stream_name: str) -> None:
        """Print the tables, and what it was in all."""
        for name, records in reading.records.items():
            if records:
                self._console.print(Text.assemble("\n", (name, "bold")))
                for table in record_tables(records, reading.properties[name], self._console.width):
                    self._console.print(table, "", sep="\n")
        if not reading.count:
            self._console.print()
        requests = f" in {_counted(len(reading.exchanges), 'request')}" if reading.exchanges else ""
        read = f"{_counted(reading.count, 'record')} of {stream_name}{requests}"
        self._console.print(Text(f"{read}; nothing was written, no bookmark has moved.", "dim"))

    def _print_indented(self, lead: str, text: Text) -> None:
        """Print with all lines after the first as far in as it."""
        lines = text.wrap(self._console, max(20, self._console.width - len(lead)))
        for at, line in enumerate(lines):
            line.rstrip()
            self._console.print(Text.assemble((lead if not at else " " * len(lead), "dim"), line))

    def _request(self, exchange: Exchange) -> Text:
        text = Text.assemble((f"{exchange.stream}: ", "cyan"))
        text.append(f"{exchange.method} ", "bold").append(escape_controls(exchange.path))
        for name, value in exchange.query:
            text.append(f" {escape_controls(name)}=", "dim").append(_short(value, _LONGEST_PARAMETER))
        return text

    def _answer(self, exchange: Exchange) -> Text:
        took = f"{exchange.seconds * 1000:,.0f} ms"
        if exchange.status is None:
            return Text.assemble((f"no answer: {exchange.trouble}", "red"), f" after {took}")
        text = Text.assemble(
            (f"{exchange.status} {escape_controls(exchange.reason)}".rstrip(), _colour(exchange.status))
        )
        text.append(f"  {took}  {_size(exchange.size)}")
        if exchange.is_page or exchange.records:
            text.append(f"  {_counted(exchange.records, 'record')}", "bold")
        if exchange.is_page:
            token = exchange.next_token
            text.append("  next: ", "dim").append(self._token(token)) if token is not None else text.append(
                "  last page"
            )
        if exchange.trouble:
            text.append(f"  then {escape_controls(self.scrubber.text(exchange.trouble))}", "red")
        return text

    def _token(self, token: Any) -> str:
        if isinstance(token, ParseResult):
            token = token._replace(scheme="", netloc="").geturl()
        text = token if isinstance(token, str) else json.dumps(token, default=str, ensure_ascii=False)
        return _short(self.scrubber.text(text), _LONGEST_TOKEN)


def _excerpt(response: requests.Response) -> str:
    """Give the beginning of an answer that tells of an error, if its body was read."""
    body = getattr(response, "_content", None)
    return " ".join(body[:_EXCERPT_BYTES].decode("utf-8", "replace").split()) if isinstance(body, bytes) else ""


def _short(text: str, limit: int) -> str:
    text = escape_controls(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _colour(status: int) -> str:
    if status < _REDIRECT:
        return "green"
    return "yellow" if status < _CLIENT_ERROR else "red"


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    return f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def _counted(count: int, what: str) -> str:
    if not count:
        return f"no {what}s"
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
