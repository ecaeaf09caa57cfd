"""Config, catalog and state files of a run: 0600 in a 0700 folder of its own, gone with the run, also after a crash.

A folder is held by a lock of the system (``flock``), which ends with its process however that ends; a folder that
nobody holds is what a crash left, and the next run removes it. What a program wrote back into its config there (a
rotated refresh token) is kept before that.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from singerkit.errors import ConfigurationError
from singerkit.protocol.codec import encode

_LOCK = "lock"
_ORIGINAL = ".original"


class PrivateFolder:
    """The folder of one run below ``base``; a context manager."""

    def __init__(self, base: Path) -> None:
        """Take the place; it is made when the context is entered."""
        self._base = base / "run"
        self._kept = base / "kept"
        #: By program, the settings that are as it left them, and no longer as its user gave them.
        self.taken_over: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> PrivateFolder:
        """Make the folder; remove what crashed runs left.

        Errors: ``ConfigurationError`` when it can't be made.
        """
        try:
            for folder in (self._base, self._kept):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
            with _locked(self._base / _LOCK):  # so that nobody sweeps a folder that is being made
                self._sweep()
                self.path = Path(tempfile.mkdtemp(dir=self._base))
                self._lock = _lock(self.path / _LOCK)
        except OSError as error:
            raise ConfigurationError(f"files of the run can't be kept below '{self._base}': {error.strerror}") from None
        return self

    def __exit__(self, *exception: object) -> None:
        """Keep what was written back; remove the folder."""
        try:
            with suppress(OSError), _locked(self._base / _LOCK):  # another run may end now, and what it keeps is kept
                self._remove(self.path)
        finally:
            os.close(self._lock)

    def write(self, name: str, content: Any) -> Path:
        """Write a value as a JSON file (bytes as they are) that only its owner can read, and give its path.

        Errors: ``ConfigurationError`` when the disk is full.
        """
        path = self.path / name
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content if isinstance(content, bytes) else encode(content))
        except OSError as error:
            raise ConfigurationError(
                f"files of the run can't be written below '{self._base}': {error.strerror}"
            ) from None
        return path

    def write_config(self, program: str, config: Mapping[str, Any], *, writes_back: bool) -> Path:
        """Write a program's config; with ``writes_back``, settings that it changed in earlier runs are as it left them.

        A setting that its user has changed since is the user's again.
        """
        if not writes_back:
            return self.write(f"{program}.json", config)
        self.write(f"{program}{_ORIGINAL}", {name: _digest(value) for name, value in config.items()})
        kept = self._read_kept(program)
        self.taken_over[program] = {
            name: kept[name]["value"]
            for name, value in config.items()
            if name in kept and kept[name]["was"] == _digest(value)
        }
        return self.write(f"{program}.json", {**config, **self.taken_over[program]})

    def _sweep(self) -> None:
        """Remove the folders that no running process holds."""
        for folder in self._base.iterdir():
            if folder.is_dir() and not _is_held(folder / _LOCK):
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        """Remove a folder, unless what was written back there can't be kept now: then the next run tries it again.

        That is not said here: whose config it is, is told what is damaged when it runs again, and nobody else is.
        """
        try:
            for original in folder.glob(f"*{_ORIGINAL}"):
                program = original.name.removesuffix(_ORIGINAL)
                kept = self._read_kept(program)
                if (changed := {**kept, **_changed(original, program)}) != kept:
                    self._write_kept(program, changed)
        except (OSError, ConfigurationError):
            return
        shutil.rmtree(folder, ignore_errors=True)

    def _read_kept(self, program: str) -> dict[str, Any]:
        path = self._kept / f"{program}.json"
        if not path.exists():
            return {}
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            raise ConfigurationError(
                f"'{path}', which keeps what {program} wrote back to its config, can't be read; mend or remove it"
            ) from None
        return kept

    def _write_kept(self, program: str, kept: Mapping[str, Any]) -> None:
        """Replace the file as a whole: a crash leaves the old one or the new one."""
        descriptor, name = tempfile.mkstemp(dir=self._kept)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(kept))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._kept / f"{program}.json")
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def _changed(original: Path, program: str) -> dict[str, Any]:
    """Give what a program has changed in its config; a file that a crash left half written changes nothing.

    Errors: ``OSError`` where that can't be read at the moment.
    """
    try:
        digests = json.loads(original.read_bytes())
        after = json.loads((original.parent / f"{program}.json").read_bytes())
        return {
            name: {"was": digests[name], "value": value}
            for name, value in after.items()
            if name in digests and _digest(value) != digests[name]
        }
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        return {}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Give a descriptor that holds the lock of a file until it is closed."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
