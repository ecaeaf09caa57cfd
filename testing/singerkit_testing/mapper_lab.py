"""A mapper under test: giving it messages in every way the rules need, and taking what comes out as messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from singerkit_testing import process
from singerkit_testing.connector_lab import ConnectorLab
from singerkit_testing.folders import filled, write_document
from singerkit_testing.mapper_input import everything
from singerkit_testing.messages import Sent, line_of
from singerkit_testing.process import Outcome, Running
from singerkit_testing.rules import NotApplicable
from singerkit_testing.settings import UNSET, Config, Unset
from singerkit_testing.transcript import Transcript, parse_transcript


@dataclass(frozen=True)
class MapperRun(Outcome):
    """One run of a mapper, with what it wrote as messages."""

    @cached_property
    def transcript(self) -> Transcript:
        """Its stdout as messages."""
        return parse_transcript(self.stdout, cut=self.cut)


class MapperLab(ConnectorLab):
    """Runs one mapper, each time in a fresh folder.

    Shape: `command` is a command line or its words; texts in `config` may hold ``{workdir}``, the folder of the run.

    Errors: ``HarnessError`` for a command or config that can't be used.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        config: Config = None,
        *,
        timeout_s: float = 30.0,
        environment: Mapping[str, str | None] | None = None,
        abilities: Iterable[str] = (),
    ) -> None:
        super().__init__(command, config, timeout_s=timeout_s, environment=environment, abilities=abilities)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        config: Mapping[str, Any] | Unset | None = UNSET,
        environment: Mapping[str, str | None] | None = None,
    ) -> MapperRun:
        """Run the mapper over an input to its end.

        Shape: without `config` the lab's own is given; None gives none.

        Errors: ``HarnessError`` when so many runs had to be ended that another would be a waste.
        """
        with self.start(*arguments, config=config, environment=environment) as running:
            running.feed([stdin])
            return self.finish(running)

    def map(self, messages: Iterable[Sent], **options: Any) -> MapperRun:
        """Run the mapper over messages; options as in `run`."""
        return self.run(stdin=input_of(messages), **options)

    def start(
        self,
        *arguments: str,
        config: Mapping[str, Any] | Unset | None = UNSET,
        environment: Mapping[str, str | None] | None = None,
    ) -> Running:
        """Start the mapper and leave the rest to the caller, in a ``with`` block; then `finish`."""
        self.refuse_after_timeouts()
        folder = self._folders.fresh()
        work = folder / "work"
        work.mkdir()
        words = [*self.command, *arguments]
        document = self.config if isinstance(config, Unset) else config
        if document is not None:
            words += [
                "--config",
                str(write_document(folder / "config.json", filled(document, {"{workdir}": str(work)}))),
            ]
        return process.start(words, folder=work, environment=self.variables(environment), timeout_s=self.timeout_s)

    def finish(self, running: Running) -> MapperRun:
        """Wait for a mapper to end, or for the time limit, and give what it did."""
        outcome = running.finish()
        self.count_timeout(outcome.timed_out)
        return MapperRun(**{each.name: getattr(outcome, each.name) for each in fields(Outcome)})

    @property
    def full(self) -> MapperRun:
        """The run over `everything`: a valid input with all there is."""
        return self._once("full", lambda: self.map(everything()))

    @property
    def again(self) -> MapperRun:
        """A second run, just like the first."""
        return self._once("again", lambda: self.map(everything()))

    @property
    def mapped(self) -> MapperRun:
        """The first run, for rules that make no sense unless it went well.

        Errors: ``NotApplicable`` if it failed (EXT-012a says so).
        """
        if not self.full.ok:
            raise NotApplicable(f"a valid input was not taken: {self.full.how_it_ended()}")
        return self.full

    def asked(self, *arguments: str) -> MapperRun:
        """Run the mapper without a config or an input."""
        return self.run(*arguments, config=None)

    def seen_abilities(self) -> dict[str, bool]:
        """Say which abilities its runs show."""
        return {"activate_version": bool(self.full.transcript.activations)}

    @property
    def hollow(self) -> tuple[str, ...]:
        """Why the rules prove little, in sentences: empty if they prove something."""
        return () if self.full.transcript.records else ("no record came out of a valid input",)


def input_of(messages: Iterable[Sent], line_end: bytes = b"\n") -> bytes:
    """Write messages as what goes to the standard input."""
    return b"".join(line_of(message) + line_end for message in messages)
