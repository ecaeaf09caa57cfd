"""A target under test: loading messages into it in every way the rules need, and reading back what it stored."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from singerkit_testing import process
from singerkit_testing.connector_lab import ConnectorLab
from singerkit_testing.errors import HarnessError
from singerkit_testing.folders import filled, write_document
from singerkit_testing.messages import ID, TEXT, Message, Sent, line_of, record, schema, state
from singerkit_testing.outcomes import error_lines
from singerkit_testing.process import Outcome, Running, Stdin
from singerkit_testing.readers import Reader, ReaderSource, Row, reader_for
from singerkit_testing.rules import NotApplicable
from singerkit_testing.settings import UNSET, Config, Unset
from singerkit_testing.values import Difference, differences
from singerkit_testing.wire import Problem, decode

__all__ = ["CASES", "Destination", "Load", "Shared", "TargetLab", "case", "record", "schema", "state"]

_MAX_STDOUT_BYTES = 8 * 2**20  # it writes states, and many loads are remembered
_WORKDIR = "{workdir}"
_CASE = "{case}"
_SECOND = re.compile(r"\d{8}[-_T]?\d{6}|\d{4}-\d\d-\d\d.*\d{4,6}")

CASES: dict[str, Callable[[], Iterable[Sent]]] = {}
_GROUPS: dict[str, list[str]] = {}
_PLAIN = "plain"
# Groups of what a target may refuse, but most take: no name that could be folded into another stream's is among them.
MOSTLY_TAKEN = (
    "framing",
    "other keys",
    "retyped",
    "lists of lists",
    "collisions",
    "own names",
    "twin properties",
    "keyless",
    "type forms",
    "unions",
    "roots",
    "references",
    "undeclared",
    "whole numbers",
)


def case(name: str, group: str = _PLAIN) -> Callable[[Callable[[], Iterable[Sent]]], Callable[[], Iterable[Sent]]]:
    """Register messages to load; the cases of a group are loaded in one run, as starting a target costs most.

    Shape: the function yields messages (no STATE) of streams that no other case has. A rule asks for the outcome with
    ``target.shared(name)``. The plain group is for what every good target loads; what a target may rightly refuse
    stands in groups of its own, since it spoils the run for the others: these are then loaded in halves until the
    culprits are alone.
    """

    def register(build: Callable[[], Iterable[Sent]]) -> Callable[[], Iterable[Sent]]:
        register_case(name, build, group)
        return build

    return register


def register_case(name: str, build: Callable[[], Iterable[Sent]], group: str = _PLAIN) -> None:
    """Do what the decorator `case` does, for cases that come in rows.

    Errors: ``HarnessError`` if two have one name.
    """
    if name in CASES:
        raise HarnessError(f"two cases are called {name}")
    CASES[name] = build
    _GROUPS.setdefault(group, []).append(name)


@dataclass(frozen=True)
class Load(Outcome):
    """One run of a target: what it did, the states it released, and what it had been sent."""

    sent: tuple[Sent, ...] = ()
    destination: Destination = field(default=None, repr=False)  # type: ignore[assignment] # always given

    @cached_property
    def _answers(self) -> list[tuple[bytes, Any, tuple[Problem, ...]]]:
        lines = self.stdout.split(b"\n")
        return [(line, *decode(line)) for line in lines if line]

    @property
    def states(self) -> list[Any]:
        """What it released: each line of stdout that is JSON, numbers exact."""
        return [value for _, value, problems in self._answers if not problems]

    @property
    def problems(self) -> list[str]:
        """The lines of stdout that are no JSON, and why."""
        return [
            f"{problems[0].flaw}: {line.decode('utf-8', 'replace')}" for line, _, problems in self._answers if problems
        ]

    @property
    def sent_states(self) -> list[Any]:
        """The values of the STATE messages that it was given."""
        return [message["value"] for message in self.sent if isinstance(message, dict) and message["type"] == "STATE"]

    def rows(self, stream: str) -> list[Row]:
        """Read a stream back from its destination."""
        return self.destination.rows(stream)

    def sent_records(self, stream: str) -> list[Row]:
        """Give the records of a stream that it was given as messages (not as raw bytes)."""
        return [
            message["record"]
            for message in self.sent
            if isinstance(message, dict) and message["type"] == "RECORD" and message["stream"] == stream
        ]


@dataclass(frozen=True)
class Shared:
    """What became of a registered case.

    Shape: `alone` says that `load` tells about this case alone: it was loaded by itself, because together with others
    something failed, or the error of a run with others names its stream and none of theirs.
    """

    load: Load
    sent: tuple[Sent, ...]
    alone: bool

    @property
    def ok(self) -> bool:
        """It was taken; if not, then it was alone and this very case was refused."""
        return self.load.ok

    @property
    def streams(self) -> list[str]:
        """The names of its streams, in their order."""
        return list(dict.fromkeys(message["stream"] for message in self.sent if not isinstance(message, bytes)))

    def rows(self, stream: str) -> list[Row]:
        """Read one of the case's streams back."""
        return self.load.rows(stream)

    def sent_records(self, stream: str) -> list[Row]:
        """Give the records of one of its streams."""
        messages = [message for message in self.sent if not isinstance(message, bytes)]
        return [message["record"] for message in messages if message["stream"] == stream and "record" in message]

    def difference(self, stream: str, *, keys: Sequence[str] = ()) -> Difference:
        """Compare what was sent with what is stored."""
        return self.load.destination.difference(stream, self.sent_records(stream), keys=keys)


class Destination:
    """An empty place of its own for a target to load into, as often as one likes.

    Shape: `folder` is what ``{workdir}`` in the config means, `work` where the target runs. Streams get `prefix`, which
    is empty unless the destination is shared with others (a database server).
    """

    def __init__(self, lab: TargetLab, folder: Path, prefix: str, name: str) -> None:
        self.folder = folder / "out"
        self.work = folder / "work"
        self.prefix = prefix
        self.name = name
        self._lab = lab
        self._root = folder
        self._runs = 0
        self._ended = 0.0
        self.folder.mkdir()
        self.work.mkdir()

    @cached_property
    def reader(self) -> Reader:
        """What reads it back.

        Errors: ``NotApplicable`` if the person named no reader.
        """
        if self._lab.reader is None:
            raise NotApplicable("needs reader")
        source = self._lab.reader
        if isinstance(source, str):
            source = source.replace(_CASE, self.name)
        return reader_for(source, self.folder)

    def rows(self, stream: str, *, metadata: bool = False) -> list[Row]:
        """Give all rows of a stream without the target's own columns (`metadata`: with); empty if there is no table."""
        return self.reader.rows(self.prefix + stream, metadata=metadata)

    def everything(self, streams: Iterable[str]) -> list[list[Row]]:
        """Give the rows of every table there is; of these streams at least, where tables can't be listed."""
        return self.reader.everything() or [self.rows(stream, metadata=True) for stream in streams]

    def difference(self, stream: str, expected: Iterable[Row], *, keys: Sequence[str] = ()) -> Difference:
        """Compare the rows of a stream with what should be there."""
        rows = self.rows(stream)
        return differences(expected, rows, keys=keys, blank_is_null=self.reader.text_only)

    def config(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give the config for this place, with some settings changed; None removes one."""
        merged = {**(self._lab.config or {}), **(settings or {})}
        kept = {name: value for name, value in merged.items() if value is not None or name in (self._lab.config or {})}
        changed: dict[str, Any] = filled(kept, {_WORKDIR: str(self.folder), _CASE: self.name})
        return changed

    def load(
        self,
        messages: Iterable[Sent],
        *,
        settings: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | bytes | Unset | None = UNSET,
        arguments: Sequence[str] = (),
        before_end: Callable[[Running], None] | None = None,
        chunk_bytes: int | None = None,
        line_end: bytes = b"\n",
        last_line_end: bytes | None = None,
        environment: Mapping[str, str | None] | None = None,
        timeout_s: float | None = None,
        launcher: Sequence[str] = (),
    ) -> Load:
        """Run the target over messages to its end.

        Shape: `settings` change the config, `config` replaces it (None: no config at all; bytes: the file as it is).
        `before_end` is called when all is written and the input still open. `chunk_bytes` is the size of each write.
        """
        sent = tuple(map(self._renamed, messages))
        data = self.input_of(sent, line_end=line_end, last_line_end=last_line_end)
        with self.start(
            settings=settings,
            config=config,
            arguments=arguments,
            environment=environment,
            timeout_s=timeout_s,
            launcher=launcher,
        ) as running:
            if before_end is None:
                running.feed(_chunks(data, chunk_bytes))
            else:
                running.write(data)
                before_end(running)
                running.close_stdin()
            return self.finish(running, sent)

    def start(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | bytes | Unset | None = UNSET,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
        stdin: Stdin = Stdin.OPEN,
        timeout_s: float | None = None,
        launcher: Sequence[str] = (),
    ) -> Running:
        """Start the target and leave the rest to the caller, in a ``with`` block; then `finish`.

        Shape: `launcher` is a command that runs the one that follows it (to limit what it may do).
        """
        self._lab.refuse_after_timeouts()
        self._wait_for_the_next_second()
        words = [*launcher, *self._lab.command, *arguments]
        document = self.config(settings) if isinstance(config, Unset) else config
        if document is not None:
            self._runs += 1
            words += ["--config", str(write_document(self._root / f"config-{self._runs}.json", document))]
        return process.start(
            words,
            folder=self.work,
            stdin=stdin,
            max_stdout_bytes=_MAX_STDOUT_BYTES,
            environment=self._lab.variables(environment),
            timeout_s=timeout_s or self._lab.timeout_s,
        )

    def _wait_for_the_next_second(self) -> None:
        """Begin no two runs in one second where files are named by it: nobody else does, and they hide each other."""
        files = self.folder.rglob("*") if self._ended else ()
        if any(_SECOND.search(path.name) for path in files):
            time.sleep(max(0.0, int(self._ended) + 1 - time.time()))

    def finish(self, running: Running, sent: Iterable[Sent] = ()) -> Load:
        """Wait for a target to end, or for the time limit, and give what it did."""
        outcome = running.finish()
        self._ended = time.time()
        self._lab.count_timeout(outcome.timed_out)
        values = {each.name: getattr(outcome, each.name) for each in fields(Outcome)}
        return Load(**values, sent=tuple(sent), destination=self)

    def input_of(
        self, messages: Iterable[Sent], *, line_end: bytes = b"\n", last_line_end: bytes | None = None
    ) -> bytes:
        """Write messages as what goes to the standard input."""
        lines = [line_of(self._renamed(message)) for message in messages]
        if not lines:
            return b""
        return line_end.join(lines) + (line_end if last_line_end is None else last_line_end)

    def _renamed(self, message: Sent) -> Sent:
        if isinstance(message, bytes) or not self.prefix or not isinstance(message.get("stream"), str):
            return message
        if message["stream"].startswith(self.prefix):
            return message
        return {**message, "stream": self.prefix + message["stream"]}


class TargetLab(ConnectorLab):
    """Runs one target, each time into a fresh and empty destination.

    Shape: texts in `config` may hold ``{workdir}``, the folder of the destination, and ``{case}``, a short unique name
    (for a schema of a database server; without it streams get a unique prefix there). `reader` reads the destination
    back, see `reader_for`. `batch_size_setting` is the setting that limits a batch's rows, `load_method` one of
    ``append``, ``upsert`` and ``overwrite``; without it, it is found out. `abilities` declares what can't be seen from
    outside; the rules' `needs` refer to it.

    Errors: ``HarnessError`` for a command or config that can't be used.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        config: Config = None,
        *,
        reader: ReaderSource | None = None,
        timeout_s: float = 60.0,
        batch_size_setting: str | None = None,
        load_method: str | None = None,
        environment: Mapping[str, str | None] | None = None,
        abilities: Iterable[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(command, config, timeout_s=timeout_s, environment=environment, abilities=abilities)
        self.reader = reader
        self.seed = seed
        self._batch_size_setting = batch_size_setting
        self._load_method = load_method

    def fresh(self) -> Destination:
        """Make a new, empty destination."""
        name = f"c{uuid.uuid4().hex[:10]}"
        return Destination(self, self._folders.fresh(), f"{name}_" if self._is_shared_place() else "", name)

    def load(self, messages: Iterable[Sent], **options: Any) -> Load:
        """Load messages into a fresh destination; options as in `Destination.load`."""
        return self.fresh().load(messages, **options)

    def shared(self, name: str) -> Shared:
        """Give what became of a registered case.

        Errors: ``NotApplicable`` if the target can't even load the simplest records (TGT-001 says so).
        """
        if not self.baseline.ok:
            raise NotApplicable(f"three plain records were not loaded: {self.baseline.how_it_ended()}")
        group = next(group for group, names in _GROUPS.items() if name in names)
        if group in MOSTLY_TAKEN and self._all_mostly_taken.ok:
            return Shared(self._all_mostly_taken, tuple(CASES[name]()), alone=False)
        names = _GROUPS[group]
        loaded: dict[str, Shared] = self._once(("cases", group), lambda: dict(self._load_cases(names)))
        return loaded[name]

    @property
    def _all_mostly_taken(self) -> Load:
        """The groups of cases that most targets take whole, in one run: if it fails, each group has its own."""
        names = [name for group in MOSTLY_TAKEN for name in _GROUPS.get(group, ())]
        return self._once("mostly taken", lambda: self.load(each for name in names for each in CASES[name]()))

    @property
    def baseline(self) -> Load:
        """The simplest load there is: one stream, one key, three rows of which two have the same key, one state."""
        return self._once("baseline", lambda: self.load(_baseline()))

    @property
    def loaded(self) -> Load:
        """The baseline, for rules that make no sense unless it went well.

        Errors: ``NotApplicable`` if it failed (TGT-001 says so).
        """
        if not self.baseline.ok:
            raise NotApplicable(f"three plain records were not loaded: {self.baseline.how_it_ended()}")
        return self.baseline

    @property
    def load_method(self) -> str | None:
        """How the target treats a key that comes again: as told, else as the baseline shows; None if unknown."""
        return self._load_method or self._configured_load_method() or self._once("load method", self._observed)

    @property
    def batch_size_setting(self) -> str | None:
        """The setting that limits a batch's rows: as told, else `batch_size_rows` if the target declares that."""
        return self._batch_size_setting or ("batch_size_rows" if "batch_size_rows" in self.settings else None)

    def batches_of(self, rows: int) -> dict[str, Any]:
        """Give the settings for a batch size; none if the target has no such setting."""
        return {self.batch_size_setting: rows} if self.batch_size_setting else {}

    def asked(self, *arguments: str) -> Load:
        """Run the target without a config or an input."""
        place = self.fresh()
        with place.start(config=None, arguments=arguments, stdin=Stdin.EMPTY) as running:
            return place.finish(running)

    def seen_abilities(self) -> dict[str, bool]:
        """Say which abilities its runs, and what the person said about the destination, show."""
        return {
            "reader": self.reader is not None,
            "batch_size": self.batch_size_setting is not None,
            **({self.load_method: True} if self.load_method else {}),
        }

    @property
    def hollow(self) -> tuple[str, ...]:
        """Why the rules prove little, in sentences: empty if they prove something."""
        return () if self.reader is not None else ("nothing was read back, as no reader is named",)

    def repeats(self, rule: str, message: str) -> bool:
        """Whether a finding only says once more that the target can't load the simplest records, as TGT-001 does."""
        return rule != "TGT-001" and not self.baseline.ok and self.baseline.ending() in message

    def _configured_load_method(self) -> str | None:
        method = str((self.config or {}).get("load_method", "")).removesuffix("-only")
        return method if method in ("append", "upsert", "overwrite") else None

    def _observed(self) -> str | None:
        if self.reader is None or not self.baseline.ok:
            return None
        names = tuple(sorted(str(row.get("name")) for row in self.baseline.rows("baseline")))
        if names in (("eve", "two"), ("eve", "one")):  # keeping the older one is wrong, but it is one per key
            return "upsert"
        return "append" if names == ("eve", "one", "two") else None

    def _is_shared_place(self) -> bool:
        if _CASE in str(self.config) or not isinstance(self.reader, str):
            return False
        return "://" in self.reader and not self.reader.startswith(("sqlite", "duckdb"))

    def _load_cases(self, names: list[str]) -> Iterator[tuple[str, Shared]]:
        sent = {name: tuple(CASES[name]()) for name in names}
        load = self.load([message for messages in sent.values() for message in messages])
        if load.ok or len(names) == 1:
            yield from ((name, Shared(load, messages, alone=len(names) == 1)) for name, messages in sent.items())
            return
        # An error that names one of the streams saves the search for it.
        suspects = [name for name in names if _names_a_stream(load, sent[name])]
        if len(suspects) == 1 and _is_refusal(load) and _is_no_word(sent[suspects[0]]):
            done = {suspects[0]: Shared(load, sent[suspects[0]], alone=True)}
        else:
            done = dict(self._load_cases(suspects if len(suspects) == 1 else names[: len(names) // 2]))
        yield from done.items()
        yield from self._load_cases([name for name in names if name not in done])


def _is_refusal(load: Load) -> bool:
    """Whether the program ended itself: then its last words are about why."""
    return load.exit_code > 0 and not load.timed_out


def _is_no_word(sent: Sequence[Sent]) -> bool:
    """Whether a stream's name can't stand in an error by chance, as `source`, `a` and `tmp` can."""
    return any("_" in message["stream"] for message in sent if not isinstance(message, bytes))


def _names_a_stream(load: Load, sent: Sequence[Sent]) -> bool:
    streams = {message["stream"] for message in sent if not isinstance(message, bytes)}
    said = "\n".join(error_lines(load))
    return any(re.search(rf"(?<!\w){re.escape(stream)}(?!\w)", said) for stream in streams)


def _baseline() -> list[Message]:
    return [
        schema("baseline", {"id": ID, "name": TEXT}, ["id"]),
        record("baseline", id=1, name="one"),
        record("baseline", id=2, name="eve"),
        record("baseline", id=1, name="two"),
        state({"bookmarks": {"baseline": {"id": 2}}}),
    ]


def _chunks(data: bytes, chunk_bytes: int | None) -> Iterator[bytes]:
    size = chunk_bytes or max(len(data), 1)
    yield from (data[at : at + size] for at in range(0, len(data), size))
