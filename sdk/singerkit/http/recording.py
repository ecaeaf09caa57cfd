"""A folder of answers: written while a tap runs against its API, read when it runs without.

One small JSON file for each answer, called after the request that it belongs to::

    GET_v1-orders_1f0c9a6be2d4.json       the first answer to a request
    GET_v1-orders_1f0c9a6be2d4.2.json     the second: it was sent twice
    recording.json                        the tap's settings

A request is known again by its method, path, parameters and body; not by its host, nor by its headers. Answers to one
request are given in the order in which they came, and the last one again and again. Nothing in the folder is a secret:
see :mod:`singerkit.http.scrub`.
"""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import requests

from singerkit.clock import without_waiting
from singerkit.config.secrets import without_secrets
from singerkit.errors import ConfigurationError, FatalSyncError
from singerkit.http.intercept import Forward, intercepted, no_network
from singerkit.http.recorded import (
    Recorded,
    RecordedRequest,
    identify,
    read_answer,
    read_request,
    response_of,
    take_down,
)
from singerkit.http.scrub import Scrubber
from singerkit.telemetry.redact import MASK

SETTINGS_FILE = "recording.json"


class Recorder:
    """Writes what taps are answered to a folder; an answer that is there already is replaced, but not by an error.

    Errors: ``ConfigurationError`` when the folder can't be written; while it is active ``FatalSyncError`` for an answer
    that is too large.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._scrubber = Scrubber()
        self._ignored: Collection[str] = ()
        self._counts: defaultdict[bytes, int] = defaultdict(int)
        self._written: list[Path] = []
        self._lock = threading.Lock()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(error) from None

    def completed(self, config: Mapping[str, Any], *, is_given: bool) -> Mapping[str, Any]:
        """Give the config as it is: who records needs all of it."""
        return config

    def begin(self, tap: str, config: Mapping[str, Any], secrets: Collection[str], ignored: Collection[str]) -> None:
        """Keep a tap's settings, and know its secrets; requests are told apart without what is ``ignored``.

        Shape: ``ignored`` are parameters, and members of JSON bodies, that differ in every run.
        """
        self._scrubber.add(secrets)
        self._ignored = ignored
        self._counts.clear()
        settings = {"tap": tap, "config": without_secrets(dict(config), secrets)}
        try:
            self._write(self._folder / SETTINGS_FILE, msgspec.json.encode(settings))
        except OSError as error:
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(f"--record: the folder {self._folder} can't be written: {error.strerror}")

    @contextmanager
    def active(self) -> Iterator[None]:
        """While this lasts record every request of this process."""
        with intercepted(self.answer):
            yield

    def answer(self, request: requests.PreparedRequest, forward: Forward) -> requests.Response:
        """Send a request, keep the answer, and give it."""
        if self._scrubber.learn(request):
            self._mask_again()
        wanted = identify(request, self._scrubber, self._ignored)
        response = forward(request)
        document = msgspec.json.encode(Recorded(wanted, take_down(response, self._scrubber)))
        with self._lock:
            self._counts[wanted.identity] += 1
            path = self._folder / wanted.file_name(self._counts[wanted.identity])
            if response.ok or not path.exists():
                self._written.append(path)
                self._write(path, document)
        return response

    def _mask_again(self) -> None:
        """Mask in what is written already: that a value is a credential is seen when it is used as one."""
        with self._lock:
            for path in dict.fromkeys(self._written):
                self._write(path, self._scrubber.masked_again(path.read_bytes()))

    @staticmethod
    def _write(path: Path, document: bytes) -> None:
        """Write a file whole or not at all: several processes may record into one folder."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.format(document, indent=2) + b"\n")
        temporary.replace(path)


class Replayer:
    """Answers requests from a folder, without a network and without waiting.

    Errors: ``ConfigurationError`` when there is no recording; while it is active ``FatalSyncError`` for a request that
    the recording does not have.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._scrubber = Scrubber()
        self._ignored: Collection[str] = ()
        self._requests = [(path, _request_in(path)) for path in sorted(self._folder.glob("*_*.json"), key=_place_of)]
        self._answers: dict[bytes, list[Path]] = {}
        self._counts: defaultdict[bytes, int] = defaultdict(int)
        self._lock = threading.Lock()
        if not self._requests:
            raise ConfigurationError(f"--replay: the folder {folder} holds no recording; --record makes one")

    def completed(self, config: Mapping[str, Any], *, is_given: bool) -> Mapping[str, Any]:
        """Give a config with the secrets that it lacks, masked as they were recorded; where none was given, with all.

        It belongs to no file: nothing that is replayed must be written back.

        Errors: ``ConfigurationError`` when the recorded one can't be read.
        """
        path = self._folder / SETTINGS_FILE
        try:
            recorded = dict(json.loads(path.read_bytes())["config"])
        except FileNotFoundError:
            return dict(config)
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(f"--replay: {path} does not hold the settings of a recording") from None
        return _with_masked(config, recorded) if is_given else {**recorded, **config}

    def begin(self, tap: str, config: Mapping[str, Any], secrets: Collection[str], ignored: Collection[str]) -> None:
        """Begin anew: the first answer to each request comes first; parameters that are ``ignored`` don't matter."""
        self._scrubber.add(secrets)
        self._ignored = ignored
        self._counts.clear()
        self._answers = {}
        for path, request in self._requests:
            kept = {name: value for name, value in request.query.items() if name not in ignored}
            identity = msgspec.structs.replace(request, query=kept).identity
            self._answers.setdefault(identity, []).append(path)

    @contextmanager
    def active(self) -> Iterator[None]:
        """While this lasts answer every request of this process, and let nothing reach the network."""
        with ExitStack() as stack:
            for effect in (intercepted(self.answer), no_network(), without_waiting()):
                stack.enter_context(effect)
            yield

    def answer(self, request: requests.PreparedRequest, forward: Forward) -> requests.Response:
        """Give the recorded answer to a request; ``forward`` is not used."""
        self._scrubber.learn(request)
        wanted = identify(request, self._scrubber, self._ignored)
        paths = self._answers.get(wanted.identity)
        if paths is None:
            raise FatalSyncError(self._not_recorded(wanted))
        with self._lock:
            number = self._counts[wanted.identity]
            self._counts[wanted.identity] += 1
        path = paths[min(number, len(paths) - 1)]
        try:
            return response_of(read_answer(path.read_bytes()), request)
        except (msgspec.DecodeError, OSError, ValueError) as error:
            raise ConfigurationError(f"--replay: {path} is not a recorded answer: {error}") from None

    def _not_recorded(self, wanted: RecordedRequest) -> str:
        what = f"{wanted.method} {wanted.path} is not in the recording {self._folder}"
        alike = [each for _, each in self._requests if (each.method, each.path) == (wanted.method, wanted.path)]
        if not alike:
            return f"{what}: run once with --record {self._folder} where the API can be reached"
        differing = min((_differences(wanted, each) for each in alike), key=len)
        return (
            f"{what} with this {', '.join(differing)}: give the settings and the state that it was recorded with, or "
            f"record once more with --record {self._folder}; name in the tap's recording_ignores what differs in "
            "every run"
        )


def _request_in(path: Path) -> RecordedRequest:
    try:
        return read_request(path.read_bytes())
    except (msgspec.DecodeError, OSError) as error:
        raise ConfigurationError(f"--replay: {path} is not a recorded answer: {error}") from None


def _place_of(path: Path) -> tuple[str, int]:
    name, _, number = path.stem.rpartition(".")
    return (name, int(number)) if name and number.isdigit() else (path.stem, 1)


def _differences(wanted: RecordedRequest, recorded: RecordedRequest) -> list[str]:
    names = sorted({*wanted.query, *recorded.query})
    differing = [f"'{name}'" for name in names if wanted.query.get(name) != recorded.query.get(name)]
    return [*differing, *(["body"] if wanted.body_sha256 != recorded.body_sha256 else [])]


def _with_masked(config: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    completed = dict(config)
    for name, value in recorded.items():
        if isinstance(value, dict) and isinstance(config.get(name), Mapping):
            completed[name] = _with_masked(config[name], value)
        elif name not in config and _has_mask(value):
            completed[name] = value
    return completed


def _has_mask(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_mask(member) for member in value.values())
    return bool(value == MASK)
