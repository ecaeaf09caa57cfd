"""A tap under test: running it in every way the rules need, and remembering the runs that many rules share."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from singerkit_testing import catalogs, process
from singerkit_testing.connector_lab import ConnectorLab
from singerkit_testing.folders import filled, write_document
from singerkit_testing.process import Outcome, Running, Stdin
from singerkit_testing.rules import NotApplicable
from singerkit_testing.settings import UNSET, Config, Unset
from singerkit_testing.transcript import Transcript, parse_transcript
from singerkit_testing.wire import Decoded, decode, encode

Document = dict[str, Any]


@dataclass(frozen=True)
class TapRun(Outcome):
    """One run of a tap, with what it wrote as messages.

    Shape: `folder` holds the copies of ``config.json``, ``state.json`` and ``catalog.json`` that it was given, as the
    run left them, and ``work``, the folder in which it ran.
    """

    folder: Path = Path()

    @cached_property
    def transcript(self) -> Transcript:
        """Its stdout as messages."""
        return parse_transcript(self.stdout, cut=self.cut)

    @cached_property
    def document(self) -> Decoded:
        """Its stdout as one JSON document: for ``--discover`` and ``--about``."""
        return decode(self.stdout)

    @property
    def work(self) -> Path:
        """The folder in which it ran."""
        return self.folder / "work"


@dataclass(frozen=True)
class Expectation:
    """What the person knows about the source.

    Shape: `records` maps a stream's name to all of its records; `non_empty` names streams that must give some;
    `streams` names those that must be in the catalog.
    """

    streams: Sequence[str] = ()
    non_empty: Sequence[str] = ()
    records: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


class TapLab(ConnectorLab):
    """Runs one tap. Every run has a fresh folder and its own copies of config, state and catalog.

    Shape: `command` is a command line or its words. `config` may hold ``{workdir}``, the folder of the run. With
    `mutate_source(action)`, an action being ``insert_tie``, ``update_old`` or ``delete``, the source is changed
    between runs. `options` are words for every run, such as ``--replay DIR``. `broken_configs` are configs with
    which the tap can't work. `abilities` declares what can't be seen from outside; the rules' `needs` refer to it.

    Errors: ``HarnessError`` for a command or config that can't be used.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        config: Config = None,
        *,
        timeout_s: float = 30.0,
        expect: Expectation | Mapping[str, Any] | None = None,
        broken_configs: Iterable[Mapping[str, Any]] = (),
        mutate_source: Callable[[str], None] | None = None,
        catalog: Mapping[str, Any] | None = None,
        environment: Mapping[str, str | None] | None = None,
        abilities: Iterable[str] = (),
        options: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(command, config, timeout_s=timeout_s, environment=environment, abilities=abilities)
        self.options = tuple(options)
        self.expect = Expectation(**expect) if isinstance(expect, Mapping) else expect
        self.broken_configs = [dict(broken) for broken in broken_configs]
        self.mutate_source = mutate_source
        self.seed = seed
        self._given_catalog = catalog

    def run(
        self,
        *arguments: str,
        config: Mapping[str, Any] | bytes | Unset | None = UNSET,
        state: Any = UNSET,
        catalog: Mapping[str, Any] | bytes | None = None,
        environment: Mapping[str, str | None] | None = None,
        stdin: bytes | Iterable[bytes] | Stdin = Stdin.EMPTY,
        timeout_s: float | None = None,
    ) -> TapRun:
        """Run the tap to its end.

        Shape: without `config` the lab's own is given; None gives none, bytes become the file as they are; likewise
        `state` (any JSON value) and `catalog`. `arguments` come first.

        Errors: ``HarnessError`` when so many runs had to be ended that another would be a waste.
        """
        self.refuse_after_timeouts()
        folder, words = self._prepare(arguments, config, state, catalog)
        outcome = process.run(
            words,
            folder=folder / "work",
            stdin=stdin,
            environment=self.variables(environment),
            timeout_s=timeout_s or self.timeout_s,
        )
        self.count_timeout(outcome.timed_out)
        return TapRun(**_fields(outcome), folder=folder)

    def run_with_words(
        self,
        *words: str,
        config: Mapping[str, Any] | Unset | None = UNSET,
        state: Any = None,
        first: Mapping[str, Any] | None = None,
        prepare: Callable[[Path, bytes], object] = lambda _folder, _config: None,
    ) -> TapRun:
        """Run the tap with the arguments in so many words.

        Shape: in them ``{config}``, ``{state}``, ``{catalog}`` and ``{first}`` (a second config) are replaced by the
        paths of files; `prepare` is given the folder of the run, and the config as text, to make more of them.
        """
        folder = self._folders.fresh()
        (folder / "work").mkdir()
        document = self.config if isinstance(config, Unset) else config
        filled_config = filled(document or {}, {"{workdir}": str(folder / "work")})
        contents = {"config": filled_config, "state": state, "catalog": self.everything_selected, "first": first}
        paths = {f"{{{name}}}": str(write_document(folder / f"{name}.json", each)) for name, each in contents.items()}
        prepare(folder, encode(filled_config))
        command = [*self.command, *(filled(word, paths) for word in words), *self.options]
        variables = self.variables(None)
        outcome = process.run(command, folder=folder / "work", environment=variables, timeout_s=self.timeout_s)
        self.count_timeout(outcome.timed_out)
        return TapRun(**_fields(outcome), folder=folder)

    def start(
        self,
        *arguments: str,
        config: Mapping[str, Any] | bytes | Unset | None = UNSET,
        state: Any = UNSET,
        catalog: Mapping[str, Any] | bytes | None = None,
        environment: Mapping[str, str | None] | None = None,
        stdin: Stdin = Stdin.EMPTY,
        timeout_s: float | None = None,
        pause_after_bytes: int | None = None,
    ) -> Running:
        """Start the tap and leave the rest to the caller, in a ``with`` block; as `run`."""
        folder, words = self._prepare(arguments, config, state, catalog)
        return process.start(
            words,
            folder=folder / "work",
            stdin=stdin,
            environment=self.variables(environment),
            timeout_s=timeout_s or self.timeout_s,
            pause_after_bytes=pause_after_bytes,
        )

    def start_sync(self, *, state: Any = UNSET, pause_after_bytes: int | None = None) -> Running:
        """Start a sync of everything; see `start`."""
        return self.start(catalog=self.everything_selected, state=state, pause_after_bytes=pause_after_bytes)

    def sync(self, catalog: Mapping[str, Any] | None = None, *, state: Any = UNSET) -> TapRun:
        """Sync by a catalog (without one: everything); runs with the same catalog and state are made once."""
        chosen = self.everything_selected if catalog is None else catalog
        key = ("sync", _key(chosen), _key(state))
        return self._once(key, lambda: self.run(catalog=chosen, state=state))

    @property
    def full(self) -> TapRun:
        """The first sync, of everything and without state."""
        return self._once("full", self.sync)  # asked for record by record: no catalog is compared each time

    @property
    def again(self) -> TapRun:
        """A second sync, just like the first."""
        return self._once("again", lambda: self.run(catalog=self.everything_selected))

    @property
    def synced(self) -> TapRun:
        """The first sync, for rules that make no sense unless it went well.

        Errors: ``NotApplicable`` if it failed (TAP-008 says so) or gave no message.
        """
        if not self.full.ok:
            raise NotApplicable(f"the full sync failed: {self.full.how_it_ended()}")
        if not self.full.transcript.messages:
            raise NotApplicable("the full sync gave no message")
        if self.full.transcript.cut:
            raise NotApplicable("the full sync wrote more than the harness keeps")
        return self.full

    def resumed(self, state: Any) -> TapRun:
        """Sync everything from a state; made once per state."""
        return self.sync(state=state)

    @property
    def broken(self) -> list[tuple[Document, TapRun]]:
        """The broken configs, each with the sync that was tried with it."""
        catalog = self.everything_selected if self.broken_configs else None
        return [
            (config, self._once(("broken", index), partial(self.run, config=config, catalog=catalog)))
            for index, config in enumerate(self.broken_configs)
        ]

    @property
    def refused_state(self) -> TapRun:
        """A sync from a state file that is no JSON."""
        return self._once("refused state", lambda: self.run(catalog=self.everything_selected, state=b"nope\n"))

    @property
    def discovery(self) -> TapRun:
        """The run with ``--discover``."""
        return self._once("discovery", lambda: self.run("--discover"))

    @property
    def catalog(self) -> Document | None:
        """The catalog: the given one, else what discovery said; None if that is no catalog. A copy each time."""
        document = self._given_catalog
        if document is None and self.discovery.ok:
            document = self.discovery.document.value
        usable = isinstance(document, Mapping) and bool(catalogs.entries_of(document))
        return copy.deepcopy(dict(document)) if usable and document is not None else None

    @property
    def discovered(self) -> Document:
        """The catalog, for rules that make no sense without one.

        Errors: ``NotApplicable`` if there is none.
        """
        catalog = self.catalog
        if catalog is None:
            raise NotApplicable("discovery gave no catalog")
        return catalog

    @property
    def everything_selected(self) -> Document | None:
        """The catalog with every stream and property selected in so many words; None if there is no catalog."""
        catalog = self.catalog
        return None if catalog is None else catalogs.with_everything(catalog)

    @property
    def entries(self) -> list[Document]:
        """The entries of the catalog; empty if there is none."""
        return catalogs.entries_of(self.catalog)

    @property
    def streams(self) -> list[str]:
        """The streams' identities: those of the catalog, without one the names in the full sync."""
        return [catalogs.stream_id(entry) for entry in self.entries] or self.full.transcript.streams

    def key_properties(self, stream: str) -> tuple[str, ...]:
        """Give the key properties of a stream, by its name in messages: as its last SCHEMA has them."""
        schemas = self.full.transcript.schemas_of(stream)
        return tuple(schemas[-1].key_properties) if schemas else ()

    def stream_name(self, entry: Mapping[str, Any]) -> str:
        """Give the name that an entry's stream has in messages: its identity, if the tap sends it by that."""
        name, identity = catalogs.stream_name(entry), catalogs.stream_id(entry)
        sent = self.full.transcript.streams
        return identity if name not in sent and identity in sent else name

    def entry_named(self, stream: str) -> Document:
        """Give the entry, with everything selected, of a stream by its name in messages; empty if there is none."""
        return self._once("entries by name", self._entries_by_name).get(stream, {})

    def _entries_by_name(self) -> dict[str, Document]:
        return {self.stream_name(entry): entry for entry in catalogs.entries_of(self.everything_selected)}

    def method(self, stream: str) -> str | None:
        """Give the replication method of a stream, by its name in messages, in `full`; None if it is not known."""
        return catalogs.method_of(self.entry_named(stream))

    def replication_key(self, stream: str) -> str | None:
        """Give the replication key of a stream, by its name in messages, in `full`; None if it has none."""
        return catalogs.replication_key_of(self.entry_named(stream))

    @property
    def incremental(self) -> dict[str, str]:
        """The streams of `full` that are read incrementally, by their names in messages: their replication keys."""
        named = {stream: self.replication_key(stream) for stream in self.full.transcript.streams}
        return {stream: key for stream, key in named.items() if key and self.method(stream) == "INCREMENTAL"}

    def with_start_date(self, start_date: str) -> TapRun:
        """Sync everything with another start_date; made once for each."""
        changed = {**(self.config or {}), "start_date": start_date}
        return self._once(
            ("start_date", start_date), lambda: self.run(config=changed, catalog=self.everything_selected)
        )

    @property
    def as_full_table(self) -> TapRun | None:
        """A sync with its incremental streams read as full tables; None if they can't be, or there are none."""
        entries = [entry for entry in catalogs.entries_of(self.everything_selected) if self._may_be_full_table(entry)]
        ids = [catalogs.stream_id(entry) for entry in entries]
        if not ids or self.everything_selected is None:
            return None
        return self.sync(catalogs.with_method(self.everything_selected, "FULL_TABLE", ids))

    def _may_be_full_table(self, entry: Document) -> bool:
        is_forced = "forced-replication-method" in catalogs.metadata_of(entry)
        return catalogs.method_of(entry) == "INCREMENTAL" and not is_forced

    def asked(self, *arguments: str) -> TapRun:
        """Run the tap without a config."""
        return self.run(*arguments, config=None)

    @property
    def is_replayed(self) -> bool:
        """Whether a recording stands in for the source; then the tap needs no credentials."""
        return "--replay" in self.options

    def seen_abilities(self) -> dict[str, bool]:
        """Say which abilities its runs, and what the person said about the source, show."""
        return {
            "catalog": self.catalog is not None,
            "state": bool(self.full.transcript.states),
            "expect": self.expect is not None,
            "broken_config": bool(self.broken_configs),
            "mutate_source": self.mutate_source is not None,
            "batch": bool(self.full.transcript.batches),
            "activate_version": bool(self.full.transcript.activations),
        }

    @property
    def hollow(self) -> tuple[str, ...]:
        """Why the rules prove little, in sentences: empty if they prove something."""
        transcript = self.full.transcript
        if transcript.cut:
            return ("the full sync wrote more than the harness keeps: a smaller source will do",)
        return () if transcript.records or transcript.batches else ("the full sync gave no record",)

    @property
    def catalog_option(self) -> str:
        """The option that takes a catalog: the older one if the help has only that, or only that has an effect."""
        return self._once("catalog option", self._found_catalog_option)

    def _found_catalog_option(self) -> str:
        known = [option for option in ("--catalog", "--properties") if option in _text(self.help)]
        if len(known) == 2 and self.everything_selected is not None:
            return next((option for option in known if self._reads_catalog(option)), "--catalog")
        return (known or ["--catalog"])[0]

    def _reads_catalog(self, option: str) -> bool:
        config = [] if self.config is None else ["--config", "{config}"]
        return bool(self.run_with_words(*config, option, "{catalog}").transcript.streams)

    @property
    def ignores_catalog(self) -> bool:
        """Whether the help has --catalog, but only --properties has an effect."""
        return self.catalog_option != "--catalog" and "--catalog" in _text(self.help)

    def _prepare(
        self,
        arguments: Sequence[str],
        config: Mapping[str, Any] | bytes | Unset | None,
        state: Any,
        catalog: Mapping[str, Any] | bytes | None,
    ) -> tuple[Path, list[str]]:
        folder = self._folders.fresh()
        (folder / "work").mkdir()
        words = [*self.command, *arguments, *self.options]
        document = self.config if isinstance(config, Unset) else config
        if document is not None:
            document = filled(document, {"{workdir}": str(folder / "work")})
            words += ["--config", str(write_document(folder / "config.json", document))]
        if not isinstance(state, Unset):
            words += ["--state", str(write_document(folder / "state.json", state))]
        if catalog is not None:
            words += [self.catalog_option, str(write_document(folder / "catalog.json", catalog))]
        return folder, words


def _text(run: Outcome) -> str:
    return (run.stdout + run.stderr).decode("utf-8", "replace")


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {each.name: getattr(outcome, each.name) for each in dataclasses.fields(outcome)}


def _key(document: Any) -> bytes | None:
    if isinstance(document, Unset):
        return None
    return document if isinstance(document, bytes) else encode(document)
