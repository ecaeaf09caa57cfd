"""What targets have in common that write lines or rows, a file for each stream.

In a folder a stream's file grows with every run. In an object store nothing can be appended to, so there each run
writes files of its own beside those that are there: see :mod:`singerkit.connectors.parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from threading import Lock
from typing import Any, BinaryIO, ClassVar, NamedTuple

from singerkit import BatchSink, Target
from singerkit.connectors.compressed_files import CompressedFile
from singerkit.connectors.file_settings import OVERWRITE
from singerkit.connectors.output_files import OutputFile, OutputFolder
from singerkit.connectors.parts import PartLimits, PartName, Parts
from singerkit.connectors.stream_parts import StreamParts
from singerkit.errors import ConfigurationError
from singerkit.files.compression import NONE, ending_of
from singerkit.files.names import differs_by_case, file_stem, marked_stem
from singerkit.files.storage import Storage, is_object_store, local_path, open_storage


class StreamFile(NamedTuple):
    """The file of one stream, the same for the whole run; the lock is for streams that a map gives one name."""

    name: str
    file: OutputFile | CompressedFile | StreamParts
    lock: Lock

    @property
    def parts(self) -> StreamParts | None:
        """What is not durable before it is complete; None for a file that grows."""
        return self.file if isinstance(self.file, StreamParts) else None


class FileSink(BatchSink):
    """Appends the records of a stream to its file."""

    exact_numbers = True
    parse_datetimes = False

    def __init__(
        self, target: FileTarget, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None = None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._open = target.open_file
        self.settle_seconds = target.settle_seconds

    def setup(self) -> None:
        """Open the file."""
        self._opened = self._open(self.stream_name)

    def settle(self) -> None:
        """Complete the part under way."""
        with self._opened.lock:
            if self._opened.parts is not None:
                self._opened.parts.settle()

    @property
    def is_settled(self) -> bool:
        """Whether no part is under way."""
        return self._opened.parts is None or self._opened.parts.is_settled

    def clean_up(self) -> None:
        """Complete what was written."""
        with self._opened.lock:
            if self._opened.parts is not None:
                self._opened.parts.end()


class FileTarget(Target):
    """A target that writes files, one for each stream, or in an object store several."""

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
        self._overwrites = self.config.get("load_method") == OVERWRITE
        self._parts = Parts(self._open_storage, self.started_at, overwrites=self._overwrites)

    @property
    def place(self) -> str:
        """Where the files are: a path or an address."""
        raise NotImplementedError

    def file_name(self, stem: str) -> str:
        """Give the name of a file whose stream is called ``stem``, as it is without compression."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The folder of the files, where the place is one."""
        return local_path(self.place)

    @property
    def settle_seconds(self) -> float | None:
        """How long rows may wait for their file to be complete; None: they do not wait, or all wait for the end."""
        waits = is_object_store(self.place) and not self._overwrites
        return PartLimits.of(self.config).max_seconds if waits else None

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
        return self._publish if self._overwrites else None

    def _publish(self) -> None:
        self._parts.publish()
        for opened in self._files.values():
            if not isinstance(opened.file, StreamParts):
                opened.file.rename(opened.name)

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load the input, and close the files."""
        try:
            super().listen(file_input)
        finally:
            for opened in self._files.values():
                if not isinstance(opened.file, StreamParts):
                    opened.file.close()
            if self._opened_folder is not None:
                self._opened_folder.close()
            self._parts.discard()

    def mend(self, file: OutputFile | CompressedFile) -> None:
        """Repair what a killed run has left half written."""

    def _open(self, name: str) -> StreamFile:
        opened = self._open_parts(name) if is_object_store(self.place) else self._open_growing(name)
        return StreamFile(name, opened, Lock())

    def _open_parts(self, name: str) -> StreamParts:
        path = PurePath(name.removesuffix(self._compressed_ending))
        part_name = PartName(path.stem, path.suffix + self._compressed_ending)
        return StreamParts(self._parts, part_name, PartLimits.of(self.config), self._compression)

    def _open_growing(self, name: str) -> OutputFile | CompressedFile:
        if self._opened_folder is None:
            self._opened_folder = OutputFolder(self.folder)
        found = OutputFile(self._opened_folder, self._unfinished.format(name=name) if self._overwrites else name)
        if self._overwrites:
            found.cut(0)
        file = found if self._compression == NONE else CompressedFile(found, self._compression)
        self.mend(file)
        return file

    def _open_storage(self) -> Storage:
        return open_storage(self.place, self.config.get("storage_options"))

    @property
    def _compression(self) -> str:
        return self.config.get("compression") or NONE

    @property
    def _compressed_ending(self) -> str:
        return ending_of(self._compression)

    def _name_of(self, stream: str) -> str:
        name = self.file_name(file_stem(stream)) + self._compressed_ending
        if is_object_store(self.place) or not differs_by_case(name, self._names_there()):
            return name
        return self.file_name(marked_stem(stream)) + self._compressed_ending

    def _names_there(self) -> Iterator[str]:
        yield from self._streams
        if self.folder.is_dir():
            yield from (path.name for path in self.folder.iterdir())
