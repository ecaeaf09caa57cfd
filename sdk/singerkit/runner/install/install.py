"""Installing: from what singer.toml asks for, by way of singer.lock, to environments."""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.runner.install.lock import Locked, read_lock, write_lock
from singerkit.runner.install.tools import Tool, is_local
from singerkit.runner.project import KINDS, Packages, Project

LOCK_NAME = "singer.lock"


Say = Callable[[str], None]


class Wanted(NamedTuple):
    """One environment that singer.toml asks for; ``connectors`` share it, each as its kind and its name."""

    name: str
    packages: Packages
    python: str
    connectors: tuple[tuple[str, str], ...]

    def is_locked_by(self, locked: Locked | None) -> bool:
        """Tell whether a lock is of what is asked for now."""
        return locked is not None and (locked.packages, locked.python) == (self.packages.written, self.python)

    def without_secrets(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Give requirements with references in place of what they stand for."""
        return tuple(_replaced(line, self.packages.references) for line in requirements)

    def with_secrets(self, requirements: Sequence[str]) -> tuple[str, ...]:
        """Give requirements with references filled in."""
        values = {reference: value for value, reference in self.packages.references.items()}
        return tuple(_replaced(line, values) for line in requirements)


def _replaced(line: str, replacements: Mapping[str, str]) -> str:
    for old, new in sorted(replacements.items(), key=lambda pair: -len(pair[0])):
        line = line.replace(old, new)
    return line


def wanted_of(project: Project, names: Sequence[str] = ()) -> list[Wanted]:
    """Give the environments that a project's connectors need, or those of some connectors.

    Errors: ``ConfigurationError`` for a name that no connector has, or whose connectors have no package.
    """
    connectors = [(kind, name) for kind in KINDS for name in getattr(project.settings, kind)]
    packaged = [(kind, name) for kind, name in connectors if project.connector(kind, name).package]
    for name in names:
        known = [known for _, known in connectors]
        if name not in known:
            hint = suggestion(name, known) or f"; it has {', '.join(known) or 'none'}"
            raise ConfigurationError(f"{project.path} has no connector '{name}'{hint}")
        if name not in [known for _, known in packaged]:
            raise ConfigurationError(f"'{name}' has no `package` in {project.path}: there is nothing to install")
    chosen = {project.environment_name(kind, name) for kind, name in packaged if not names or name in names}
    sharing: dict[str, list[tuple[str, str]]] = {}
    for kind, name in packaged:
        sharing.setdefault(project.environment_name(kind, name), []).append((kind, name))
    return [
        Wanted(environment, project.packages(*users[0]), project.connector(*users[0]).python, tuple(users))
        for environment, users in sharing.items()
        if environment in chosen
    ]


class Installer:
    """Locks and makes environments of a project, one installation at a time."""

    def __init__(self, project: Project, tool: Tool, say: Say) -> None:
        """Take what tells the user what is being done, a line at a time."""
        self._project = project
        self._tool = tool
        self._say = say
        self._lock_path = project.folder / LOCK_NAME
        self._base = project.folder / ".singerkit" / "environments"

    def install(self, wanted: Sequence[Wanted], *, upgrade: bool = False) -> None:
        """Make the environments as they are locked; what is not locked, or ``upgrade``, is resolved first.

        Errors: ``InstallError``; ``ConfigurationError`` when a connector's program is not in its package.
        """
        self._base.mkdir(parents=True, exist_ok=True)
        with _alone(self._base / ".lock"):
            for each in wanted:
                self._install(each, upgrade=upgrade)
        for each in wanted:
            for kind, name in each.connectors:
                self._project.program_words(kind, name)

    def forget(self) -> None:
        """Remove from the lock file, and from the disk, what no connector asks for any more."""
        names = {each.name for each in wanted_of(self._project)}
        locks = read_lock(self._lock_path)
        for name in locks.keys() - names:
            self._say(f"{name}: removed")
            (self._base / name).unlink(missing_ok=True)
            self._remove_all_but(name, set())
        if not locks.keys() <= names:
            write_lock(self._lock_path, {name: locked for name, locked in locks.items() if name in names})

    def drift(self, wanted: Sequence[Wanted], *, is_all: bool) -> Iterator[str]:
        """Give a line for each thing that is not as singer.toml and singer.lock say; an environment may be missing."""
        locks = read_lock(self._lock_path)
        for each in wanted:
            locked = locks.get(each.name)
            if locked is None:
                yield f"{each.name}: is not in {LOCK_NAME}"
            elif not each.is_locked_by(locked):
                yield f"{each.name}: singer.toml asks for something else than what is in {LOCK_NAME}"
            elif self._installed(each.name) not in (None, locked.digest):
                yield f"{each.name}: what is installed is not what is in {LOCK_NAME}"
        for name in sorted(locks.keys() - {each.name for each in wanted}) if is_all else ():
            yield f"{name}: is in {LOCK_NAME}, but no connector asks for it"

    def _install(self, wanted: Wanted, *, upgrade: bool) -> None:
        locks = read_lock(self._lock_path)
        locked = locks.get(wanted.name)
        if upgrade or locked is None or not wanted.is_locked_by(locked):
            self._say(f"{wanted.name}: resolving {', '.join(wanted.packages.written)}")
            found = self._tool.resolve(wanted.packages.filled, wanted.python)
            locked = Locked(wanted.packages.written, wanted.python, wanted.without_secrets(found))
            write_lock(self._lock_path, {**locks, wanted.name: locked})
        # What a folder holds may have changed without any change of the lock.
        is_same = self._installed(wanted.name) == locked.digest
        if is_same and not (upgrade and any(is_local(line) for line in locked.requirements)):
            self._say(f"{wanted.name}: up to date")
            return
        self._make(wanted, locked)

    def _make(self, wanted: Wanted, locked: Locked) -> None:
        """Make the environment beside the one in use, and put it in its place when it is whole."""
        count = len(locked.requirements)
        self._say(f"{wanted.name}: installing {count} package{'s' if count != 1 else ''}")
        folder = Path(tempfile.mkdtemp(prefix=f"{wanted.name}-{locked.digest}-", dir=self._base))
        folder.chmod(0o755)  # it holds no secret, and may be run by another user than the one who installs
        try:
            self._tool.make(folder, wanted.python, wanted.with_secrets(locked.requirements))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        link = self._base / wanted.name
        before = link.readlink().name if link.is_symlink() else ""
        new = folder.with_name(f"{folder.name}.link")
        new.symlink_to(folder.name)
        new.replace(link)
        self._remove_all_but(wanted.name, {folder.name, before})  # a run may still be using the one before

    def _installed(self, name: str) -> str | None:
        """Give the digest of what is installed, if anything is."""
        link = self._base / name
        return link.readlink().name.split("-")[-2] if link.is_symlink() and link.is_dir() else None

    def _remove_all_but(self, name: str, kept: set[str]) -> None:
        for path in self._base.glob(f"{name}-*"):
            if re.fullmatch(re.escape(name) + r"-[0-9a-f]{12}-[^-]+", path.name) and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other installation of the project is under way."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the file, however this ends
        yield
