"""A tap over made-up data that is the same in every run: orders, events, customers > invoices > lines.

Its config says how much there is, how slow it is, and where it misbehaves. Run as a script it is the command.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from singerkit import Stream, Tap
from singerkit import typing as th
from singerkit.errors import FatalSyncError

DAY_S = 86_400


def instant(number: int) -> str:
    """Give the moment so many seconds after the year began, now in one offset, now in another."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_704_067_200 + number))
    return text + ("Z" if number % 2 else "+00:00")


class FamilyStream(Stream):
    """What the streams share: waiting, and misbehaving at a record."""

    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("parent", th.IntegerType),
        th.Property("at", th.DateTimeType),
        th.Property("text", th.StringType),
    ).to_dict()

    def rows(self, numbers: range, context: Any = None) -> Any:
        """Give the records of these numbers that are not older than the bookmark."""
        start = self.get_starting_timestamp(context) if self.replication_key else None
        ties = self.config["ties"]
        text = "x" * self.config["text_bytes"]
        for number in numbers:
            at = instant(number // ties)
            if start is None or _moment(at) >= start:
                self.misbehave(number)
                yield {"id": number, "at": at, "text": text}

    def misbehave(self, number: int) -> None:
        """Do what the config asks for at this record."""
        if self.config["pause_s"] and number % self.config["pause_every"] == 0:
            time.sleep(self.config["pause_s"])
        fault = self.config.get("fault") or {}
        if fault.get("stream") == self.name and fault.get("at") == number:
            FAULTS[fault["what"]](fault)


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _fail(fault: dict[str, Any]) -> None:
    raise FatalSyncError("the source broke")


def _bug(fault: dict[str, Any]) -> None:
    int("C4NARY-value")


def _print(fault: dict[str, Any]) -> None:
    print('{"type":"STATE","value":"printed"}')
    sys.stdout.write("written\n")
    sys.__stdout__.write("dunder\n")
    sys.__stdout__.flush()
    os.write(1, b'{"type":"STATE","value":"written"}\n')
    os.system("echo from a child process")


FAULTS = {
    "fail": _fail,
    "bug": _bug,
    "exit": lambda fault: sys.exit(fault.get("code", 0)),
    "print": _print,
    "hang": lambda fault: time.sleep(60),
}


class Orders(FamilyStream):
    """Sorted and incremental."""

    name = "orders"
    replication_key = "at"
    is_sorted = True

    def get_records(self, context: Any) -> Any:
        """Give them oldest first."""
        yield from self.rows(range(self.config["orders"]))


class Events(FamilyStream):
    """Incremental, newest first."""

    name = "events"
    replication_key = "at"

    def get_records(self, context: Any) -> Any:
        """Give them newest first."""
        yield from self.rows(range(self.config["events"] - 1, -1, -1))


class Countries(FamilyStream):
    """Read in full each time."""

    name = "countries"

    def get_records(self, context: Any) -> Any:
        """Give all."""
        yield from self.rows(range(self.config["countries"]))


class Customers(FamilyStream):
    """Parents; sorted and incremental."""

    name = "customers"
    replication_key = "at"
    is_sorted = True

    def get_records(self, context: Any) -> Any:
        """Give them oldest first."""
        yield from self.rows(range(self.config["customers"]))

    def get_child_context(self, record: Any, context: Any) -> Any:
        """Name the customer."""
        return {"parent": record["id"]}


class Invoices(FamilyStream):
    """Children; incremental, a bookmark a customer."""

    name = "invoices"
    replication_key = "at"
    is_sorted = True
    parent_stream_type = Customers

    def get_records(self, context: Any) -> Any:
        """Give three a customer."""
        first = context["parent"] * 3
        yield from self.rows(range(first, first + 3), context)

    def get_child_context(self, record: Any, context: Any) -> Any:
        """Name the invoice."""
        return {"parent": record["id"]}


class Lines(FamilyStream):
    """Grandchildren; read in full."""

    name = "lines"
    parent_stream_type = Invoices

    def get_records(self, context: Any) -> Any:
        """Give two an invoice."""
        first = context["parent"] * 2
        yield from self.rows(range(first, first + 2), context)


class Parts(FamilyStream):
    """Sixteen partitions, each sorted and incremental."""

    name = "parts"
    replication_key = "at"
    is_sorted = True

    @property
    def partitions(self) -> Any:
        """Name the sixteen."""
        return [{"parent": number} for number in range(16)] if self.config["parts"] else []

    def get_records(self, context: Any) -> Any:
        """Give every sixteenth."""
        yield from self.rows(range(context["parent"], self.config["parts"], 16), context)


class TapFamily(Tap):
    """A tap for tests."""

    name = "tap-family"
    config_jsonschema = th.PropertiesList(
        *(
            th.Property(name, th.IntegerType, default=0)
            for name in ("orders", "events", "countries", "customers", "parts", "text_bytes")
        ),
        th.Property("ties", th.IntegerType, default=1),
        th.Property("pause_s", th.NumberType, default=0),
        th.Property("pause_every", th.IntegerType, default=1),
        th.Property("fault", th.ObjectType(additional_properties=True)),
        th.Property("slow_discovery_s", th.NumberType, default=0),
        th.Property("noisy_discovery", th.BooleanType, default=False),
    ).to_dict()

    def discover_streams(self) -> Any:
        """Give the streams that have records."""
        time.sleep(self.config["slow_discovery_s"])
        if self.config["noisy_discovery"]:
            _print({})
        streams = [Orders, Events, Countries, Parts]
        if self.config["customers"]:
            streams += [Customers, Invoices, Lines]
        return [kind(self) for kind in streams if kind in (Customers, Invoices, Lines) or self.config[kind.name]]


def expected(config: dict[str, Any]) -> dict[str, set[int]]:
    """Give the ids that a full run writes, by stream."""
    customers = config.get("customers", 0)
    counts = {name: config.get(name, 0) for name in ("orders", "events", "countries", "customers", "parts")}
    counts |= {"invoices": customers * 3, "lines": customers * 6}
    return {name: set(range(count)) for name, count in counts.items() if count}


if __name__ == "__main__":
    TapFamily.cli()
