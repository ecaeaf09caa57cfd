"""What runs a connector class for the tests of a suite, once, and keeps what came out."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from singerkit_testing import in_process
from singerkit_testing.folders import filled
from singerkit_testing.mapper_input import everything
from singerkit_testing.mapper_lab import input_of
from singerkit_testing.messages import Sent
from singerkit_testing.record_limit import limit_records
from singerkit_testing.suite_config import SuiteConfig

Message = dict[str, Any]


class SingerTestRunner:
    """What the runners share.

    Shape: `default_kwargs` go to the class whenever one of it is made. Messages are gathered by type, `raw_messages`
    in order; `records` maps a stream's name to its records. ``{workdir}`` in the config is a folder that goes with the
    runner.
    """

    __test__ = False

    def __init__(
        self,
        singer_class: Any,
        config: Mapping[str, Any] | None = None,
        suite_config: SuiteConfig | None = None,
        **kwargs: Any,
    ) -> None:
        self.singer_class = singer_class
        self.suite_config = suite_config or SuiteConfig()
        self.default_kwargs = kwargs
        self.raw_messages: list[Message] = []
        self.schema_messages: list[Message] = []
        self.record_messages: list[Message] = []
        self.state_messages: list[Any] = []
        self.records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.folder = Path(tempfile.mkdtemp(prefix="singer-suite-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.config: dict[str, Any] = filled(dict(config or {}), {"{workdir}": str(self.folder)})

    def create(self, kwargs: Mapping[str, Any] | None = None) -> Any:
        """Make one of the class, with the config and these arguments or the default ones."""
        return self.singer_class(config=self.config, **(self.default_kwargs if kwargs is None else kwargs))

    def run_command(self, *arguments: str) -> str:
        """Run the class's own command and give its stdout.

        Errors: ``AssertionError`` if it did not end well.
        """
        codes: list[Any] = []
        command = self.singer_class.cli
        out, err = in_process.captured(lambda: codes.append(command.main(list(arguments), standalone_mode=False)))
        assert codes[0] in (None, 0), f"{' '.join(arguments)} ended with {codes[0]}: {err[-500:]}"  # noqa: S101
        return out

    def sync_all(self, **kwargs: Any) -> None:
        """Run it."""
        raise NotImplementedError

    def keep(self, line: str) -> None:
        """Gather a message that the connector wrote.

        Errors: ``AssertionError`` for a line that is no JSON object.
        """
        try:
            message = json.loads(line)
        except ValueError as error:
            raise AssertionError(f"a line on stdout is no JSON: {line[:200]}") from error
        assert isinstance(message, dict), f"a line on stdout is no message: {line[:200]}"  # noqa: S101
        self.raw_messages.append(message)
        if message.get("type") == "SCHEMA":
            self.schema_messages.append(message)
        elif message.get("type") == "STATE":
            self.state_messages.append(message.get("value"))
        elif message.get("type") == "RECORD":
            self.record_messages.append(message)
            self.records[message["stream"]].append(message["record"])


class TapTestRunner(SingerTestRunner):
    """Runs a tap class."""

    def __init__(
        self,
        tap_class: Any,
        config: Mapping[str, Any] | None = None,
        suite_config: SuiteConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(tap_class, config, suite_config, **kwargs)

    def new_tap(self) -> Any:
        """Make a tap."""
        return self.create()

    def run_discovery(self) -> str:
        """Give what ``--discover`` prints."""
        return str(self.new_tap().run_discovery())

    def run_connection_test(self) -> bool:
        """Tell whether a record of each stream can be read."""
        return bool(self.new_tap().run_connection_test())

    def run_sync_dry_run(self) -> bool:
        """Read as many records as the suite allows and write nothing."""
        return bool(self.new_tap().run_sync_dry_run(self.suite_config.max_records_limit))

    def sync_all(self, **kwargs: Any) -> None:
        """Sync, with as many records of each stream as the suite allows, and keep the messages.

        Errors: whatever the tap raises; ``AssertionError`` for a line that is no JSON object.
        """
        tap = self.new_tap()
        limit_records(tap, self.suite_config.max_records_limit)
        out, _ = in_process.captured(tap.sync_all)
        for line in out.splitlines():
            self.keep(line)

    def sent_schema(self, stream: str) -> dict[str, Any] | None:
        """Give the last schema that the tap wrote for a stream: the catalog's, as stream maps changed it."""
        sent = [message["schema"] for message in self.schema_messages if message["stream"] == stream]
        return sent[-1] if sent else None


class TargetTestRunner(SingerTestRunner):
    """Runs a target class over a file of messages, or over text.

    Shape: `stdout` and `stderr` are texts once it ran; `state_messages` are the lines of stdout.
    """

    def __init__(
        self,
        target_class: Any,
        config: Mapping[str, Any] | None = None,
        suite_config: SuiteConfig | None = None,
        input_filepath: Any = None,
        input_io: IO[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(target_class, config, suite_config, **kwargs)
        self.input_filepath = input_filepath
        self.input_io = input_io
        self.stdout: str | None = None
        self.stderr: str | None = None
        self._input: IO[str] | None = None

    def new_target(self) -> Any:
        """Make a target."""
        return self.create()

    @property
    def target_input(self) -> IO[str] | None:
        """The messages that the target will read."""
        if self._input is None:
            self._input = self.input_io
        if self._input is None and self.input_filepath is not None:
            self._input = io.StringIO(Path(self.input_filepath).read_bytes().decode())
        return self._input

    @target_input.setter
    def target_input(self, value: IO[str] | None) -> None:
        self._input = value

    def sync_all(self, *, finalize: bool = True, **kwargs: Any) -> None:
        """Load the messages to the end; `finalize` changes nothing, as a run always ends what it began.

        Errors: whatever the target raises.
        """
        target = self.new_target()
        out, err = buffers_of_load(target, self.target_input)
        self.stdout, self.stderr = out.read(), err.read()
        self.state_messages.extend(line for line in self.stdout.splitlines() if line.strip())


class MapperTestRunner(SingerTestRunner):
    """Runs a mapper class over messages; what it writes is kept as a tap's messages are."""

    def __init__(
        self,
        mapper_class: Any,
        config: Mapping[str, Any] | None = None,
        suite_config: SuiteConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(mapper_class, config, suite_config, **kwargs)

    def new_mapper(self) -> Any:
        """Make a mapper."""
        return self.create()

    def map(self, messages: Iterable[Sent]) -> list[Message]:
        """Give what a new mapper makes of messages.

        Errors: whatever the mapper raises; ``AssertionError`` for a line that is no JSON object.
        """
        out, _ = buffers_of_load(self.new_mapper(), io.BytesIO(input_of(messages)))
        before = len(self.raw_messages)
        for line in out.read().splitlines():
            self.keep(line)
        return self.raw_messages[before:]

    def sync_all(self, **kwargs: Any) -> None:
        """Map the valid messages of every type that the rules for mappers use."""
        self.map(everything())


def buffers_of_load(target: Any, messages: IO[str] | IO[bytes] | None) -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    """Let a target (or a mapper) read messages to the end; give what it wrote to stdout and to stderr."""
    content: str | bytes = "" if messages is None else messages.read()
    with tempfile.TemporaryFile() as file:  # a real file: what a target reads must have a descriptor
        file.write(content.encode() if isinstance(content, str) else content)
        file.seek(0)
        return in_process.buffers(lambda: target.listen(file))
