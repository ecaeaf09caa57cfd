"""Writing one setting back to the config file that it came from: what a run has to keep for the next one.

The file is replaced as a whole, so that a crash leaves the old one or the new one; everything in it but the one value
stays as it was, to the byte.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singerkit.clock import monotonic
from singerkit.config.resolve import ENVIRONMENT, read_json_object
from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOOK_AGAIN_S = 0.05
_BYTE_ORDER_MARK = "\ufeff"


def file_holding(config: Mapping[str, Any], setting: str) -> Path | None:
    """Give the one config file that a setting's value comes from.

    ``None`` when there is none, when several files have the setting, when the environment overrides it, and when what
    was given is no regular file: a pipe can't be written back.
    """
    holders = list(getattr(config, "holders", {}).get(setting, ()))
    if len(holders) != 1 or holders[0] == ENVIRONMENT:
        return None
    path = Path(holders[0])
    return path.absolute() if path.is_file() else None


class ConfigFile:
    """A config file that is about to be changed; not for several threads at once."""

    def __init__(self, path: Path) -> None:
        """Take the path; a symbolic link stays one, and the file behind it is the one that is changed."""
        self._given = path
        self._lock: int | None = None

    def __str__(self) -> str:
        return f"config file '{self._given}'"

    def read(self) -> dict[str, Any]:
        """Give the settings in the file.

        Errors: ``ConfigurationError`` when it can't be read.
        """
        return read_json_object(self._given, "config")

    def lock(self, timeout_s: float) -> bool:
        """Keep all others that use this class from the file; says whether that is new, and :meth:`unlock` is due.

        The lock is the system's (``flock``), so it ends with the process however that ends.

        Errors: ``ConfigurationError`` when another holds it for longer, or the file system knows no locks.
        """
        if self._lock is not None:
            return False
        give_up = monotonic() + timeout_s
        while self._lock is None:
            try:
                self._lock = _locked(self._path)
            except BlockingIOError:
                if monotonic() > give_up:
                    raise ConfigurationError(f"another run has locked {self} for more than {timeout_s:.0f} s") from None
                time.sleep(_LOOK_AGAIN_S)
            except OSError as error:
                raise ConfigurationError(f"{self} can't be locked: {_reason(error)}") from None
        return True

    def unlock(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, setting: str, value: Any) -> None:
        """Change one setting that the file has, and nothing else; permissions and owner stay.

        Errors: ``ConfigurationError`` says why not; the file is then as it was.
        """
        path = self._path
        try:
            changed = with_setting(path.read_bytes().decode("utf-8"), setting, value)
            # Who may write to the folder could replace the file all the same; its owner said that nobody may.
            if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
                raise PermissionError(errno.EACCES, "it is write-protected")
            _replace(path, changed.encode())
        except OSError as error:
            raise ConfigurationError(f"{self} can't be written: {_reason(error)}") from None
        except (ValueError, KeyError):
            raise ConfigurationError(f"{self} has no setting '{setting}' any more, or is not JSON any more") from None

    @property
    def _path(self) -> Path:
        return Path(os.path.realpath(self._given))


def _locked(path: Path) -> int:
    """Give a descriptor that holds the lock of the file that is at ``path`` now, which another may have replaced.

    Errors: ``BlockingIOError`` when another holds it.
    """
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116 - beside its fstat
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of an old one, whole or not at all, also if the machine stops."""
    old = path.stat()
    # The same folder, since a file can't be renamed into another file system; nobody else may read it, from the start.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            _take_over(file.fileno(), old)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some file systems can't, and the file is in its place
        _sync_folder(path.parent)


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give a file the owner and the permissions of another."""
    if (os.geteuid(), os.getegid()) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):  # it then belongs to who runs this, as any new file does
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def with_setting(text: str, setting: str, value: Any) -> str:
    """Give the text of a JSON object with the value of one of its members changed, everything else as it is.

    Errors: ``KeyError`` when there is no such member; ``ValueError`` when it is not a JSON object.
    """
    # Where a name is there twice, the last one counts.
    start, end = dict(_members(text))[setting]
    return text[:start] + json.dumps(value) + text[end:]


def _members(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Give name and place of the value of each member of the JSON object that the text is."""
    json.loads(text.removeprefix(_BYTE_ORDER_MARK))  # so that what follows can rely on its form
    decoder = json.JSONDecoder()
    at = _skip(text, len(text) - len(text.removeprefix(_BYTE_ORDER_MARK)))
    if text[at] != "{":
        raise ValueError("not a JSON object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, start)
        yield name, (start, end)
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    """Give the next position that is no white space."""
    while text[at] in " \t\r\n":
        at += 1
    return at
