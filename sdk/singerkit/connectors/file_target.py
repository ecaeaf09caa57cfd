"""What targets that write a file a stream have in common: where the files are, whose they are, when they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, ClassVar, NamedTuple

from singerkit import Target
from singerkit import typing as th
from singerkit.connectors.output_files import OutputFile, OutputFolder
from singerkit.errors import ConfigurationError
from singerkit.files.names import differs_by_case, file_stem, marked_stem

OVERWRITE = "overwrite"

LOAD_METHOD = th.Property(
    "load_method",
    th.StringType,
    default="append-only",
    allowed_values=["append-only", OVERWRITE],
    title="Load method",
    description="`append-only` adds to the files that are there; `overwrite` puts new files in their place when the "
    "run has succeeded, for streams that are read in full every time.",
)


class StreamFile(NamedTuple):
    """The file of one stream, the same for the whole run; the lock is for streams that a map gives one name."""

    file: OutputFile
    lock: Lock


class FileTarget(Target):
    """A target that writes files into a folder, one for each stream."""

    #: A file keeps what it has: no rows of older versions are taken out of it.
    capabilities: ClassVar[Sequence[str]] = tuple(name for name in Target.capabilities if name != "activate-version")
    #: What a file is called while an overwriting run is not complete.
    _unfinished = "{name}.incomplete"

    def __init__(self, **arguments: Any) -> None:
        """Take in the config; see ``Target``."""
        super().__init__(**arguments)
        self._files: dict[str, StreamFile] = {}
        self._opened_folder: OutputFolder | None = None
        self._streams: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        raise NotImplementedError

    def file_name(self, stem: str) -> str:
        """Give the name of a file whose stream is called ``stem``."""
        raise NotImplementedError

    @property
    def started_at(self) -> datetime:
        """When the run began, in UTC, to the second."""
        return datetime.fromtimestamp(self.initialized_at // 1000, tz=UTC)

    def open_file(self, stream: str) -> StreamFile:
        """Give a stream's file, the same however often it is asked for.

        Errors: ``ConfigurationError`` when another stream writes it already.
        """
        name = self._name_of(stream)
        owner = self._streams.setdefault(name, stream)
        if owner != stream:
            raise ConfigurationError(
                f"the streams '{owner}' and '{stream}' would both be written to '{name}': each needs a file of its own",
                stream=stream,
            )
        if name not in self._files:
            self._files[name] = self._open(name)
        return self._files[name]

    @property
    def publisher(self) -> Callable[[], None] | None:
        """With ``overwrite``: puts the new files in the place of the old ones; the last state leaves after that."""
        return self._publish if self.config.get("load_method") == OVERWRITE else None

    def _publish(self) -> None:
        for name, opened in self._files.items():
            opened.file.rename(name)

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load the input, and close the files."""
        try:
            super().listen(file_input)
        finally:
            for opened in self._files.values():
                opened.file.close()
            if self._opened_folder is not None:
                self._opened_folder.close()

    def mend(self, file: OutputFile) -> None:
        """Repair what a killed run has left half written."""

    def _open(self, name: str) -> StreamFile:
        if self._opened_folder is None:
            self._opened_folder = OutputFolder(self.folder)
        folder = self._opened_folder
        if self.config.get("load_method") == OVERWRITE:
            file = OutputFile(folder, self._unfinished.format(name=name))
            file.cut(0)
        else:
            file = OutputFile(folder, name)
            self.mend(file)
        return StreamFile(file, Lock())

    def _name_of(self, stream: str) -> str:
        name = self.file_name(file_stem(stream))
        return self.file_name(marked_stem(stream)) if differs_by_case(name, self._names_there()) else name

    def _names_there(self) -> Iterator[str]:
        yield from self._streams
        if self.folder.is_dir():
            yield from (path.name for path in self.folder.iterdir())
