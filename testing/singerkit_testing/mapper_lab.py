"""A mapper under test: giving it messages in every way the rules need, and taking what comes out as messages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self, TypeVar

from singerkit_testing import process
from singerkit_testing.errors import HarnessError
from singerkit_testing.folders import Folders, filled, write_document
from singerkit_testing.mapper_input import everything
from singerkit_testing.messages import Sent, line_of
from singerkit_testing.once import Once
from singerkit_testing.process import Outcome, Running, words_of
from singerkit_testing.rules import NotApplicable
from singerkit_testing.settings import UNSET, Config, Unset, capabilities_of, read_config, settings_of
from singerkit_testing.transcript import Transcript, parse_transcript
from singerkit_testing.wire import decode

_Value = TypeVar("_Value")
_MOST_TIMEOUTS = 4


@dataclass(frozen=True)
class MapperRun(Outcome):
    """One run of a mapper, with what it wrote as messages."""

    @cached_property
    def transcript(self) -> Transcript:
        """Its stdout as messages."""
        return parse_transcript(self.stdout, cut=self.cut)


class MapperLab:
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
        self.command = words_of(command)
        self.config = read_config(config)
        self.timeout_s = timeout_s
        self._declared = frozenset(abilities)
        self._folders = Folders()
        self._environment = {**self._folders.byte_code(), **(environment or {})}
        self._once = Once()
        self._timeouts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the folders of all runs."""
        self._folders.close()

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
        if self._timeouts >= _MOST_TIMEOUTS:
            raise HarnessError(f"not run any more: {self._timeouts} runs exceeded the time limit")
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
        variables = {**self._environment, **(environment or {})}
        return process.start(words, folder=work, environment=variables, timeout_s=self.timeout_s)

    def finish(self, running: Running) -> MapperRun:
        """Wait for a mapper to end, or for the time limit, and give what it did."""
        outcome = running.finish()
        self._timeouts += outcome.timed_out
        return MapperRun(**{each.name: getattr(outcome, each.name) for each in fields(Outcome)})

    def remember(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        """Compute something once for all rules."""
        return self._once(("remembered", key), compute)

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

    @property
    def help(self) -> MapperRun:
        """The run with ``--help``."""
        return self._once("help", lambda: self.run("--help", config=None))

    @property
    def about(self) -> dict[str, Any] | None:
        """What the mapper says about itself (``--about --format=json``, an extension); None if it does not."""
        run = self._once("about", lambda: self.run("--about", "--format=json", config=None))
        value, problems = decode(run.stdout)
        return value if run.ok and not problems and isinstance(value, dict) and "name" in value else None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the mapper declares: name to schema; empty if it does not."""
        return settings_of(self.about)

    @property
    def abilities(self) -> frozenset[str]:
        """What the rules' `needs` can name: declared by the person, by the mapper, or seen in its runs."""
        seen = {"about": self.about is not None, "activate_version": bool(self.full.transcript.activations)}
        return self._declared | capabilities_of(self.about) | {name for name, has in seen.items() if has}

    @property
    def hollow(self) -> tuple[str, ...]:
        """Why the rules prove little, in sentences: empty if they prove something."""
        return () if self.full.transcript.records else ("no record came out of a valid input",)


def input_of(messages: Iterable[Sent], line_end: bytes = b"\n") -> bytes:
    """Write messages as what goes to the standard input."""
    return b"".join(line_of(message) + line_end for message in messages)
