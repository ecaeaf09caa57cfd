"""A refresh token that the API replaces, kept for the next run.

Where an endpoint gives a new refresh token with each access token (RFC 6749, section 6), the old one is void: a config
that still holds it is a config that no longer works. So the new one replaces it in the config file, where that is
sure to be right: one file that was given by its path holds the setting, and no later source of the config overrides it.
Otherwise a warning says what to do.

While a process asks for a token it holds the file's lock, so that two runs with one config file never use the same
refresh token, which many APIs take for theft and answer by revoking all tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from singerkit.clock import waits
from singerkit.config.write_back import ConfigFile, file_holding
from singerkit.errors import ConfigurationError

#: Seconds to wait for another process that asks for a token: longer than it may take for that.
LOCK_TIMEOUT_S = 90.0


class RefreshTokenKeeper:
    """Keeps the newest refresh token in the config file that holds ``setting``, if there is just one.

    Shape: ``config`` is the tap's, as it was resolved; an empty one turns it off.
    """

    def __init__(self, setting: str, config: Mapping[str, Any], logger: logging.Logger) -> None:
        self.setting = setting
        self._logger = logger
        self._in_file: str | None = config.get(setting)
        path = file_holding(config, setting)
        self._file = ConfigFile(path) if path is not None else None
        self._has_nowhere = path is None and self._in_file is not None
        self._has_warned = False
        self._can_lock = True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While this lasts, no other process asks for a token by the same config file; nested calls are one."""
        if self._file is None or not self._can_lock:
            yield
            return
        try:
            locked = self._file.lock(LOCK_TIMEOUT_S)
        except ConfigurationError as problem:
            self._can_lock = False  # waiting that long once is enough
            self._logger.warning("%s; another run with it may use the same refresh token", problem)
            yield
            return
        try:
            yield
        finally:
            if locked:
                self._file.unlock()

    def newest(self, current: str | None) -> str | None:
        """Give the refresh token to use: ``current``, unless another process has put a newer one into the file."""
        if self._file is None or self._in_file is None:
            return current
        try:
            found = self._file.read().get(self.setting)
        except ConfigurationError as problem:
            self._logger.warning("%s", problem)
            return current
        if not isinstance(found, str) or not found or found == self._in_file:
            return current
        self._logger.info("another run has replaced the refresh token in %s; using that", self._file)
        self._in_file = found
        return found

    def keep(self, refresh_token: str | None) -> None:
        """Write a refresh token to the file, unless it is there; what prevents it is warned of, once."""
        if not refresh_token or refresh_token == self._in_file or not waits():
            return  # recorded answers stand in for the server: what they hold opens nothing
        if self._file is None:
            self._warn_of_no_file()
            return
        try:
            with self.alone():
                self._file.write(self.setting, refresh_token)
        except ConfigurationError as problem:
            self._warn_of_failure(problem)
            return
        self._in_file = refresh_token
        self._logger.info("the API has replaced the refresh token; %s holds the new one", self._file)

    def _warn_of_failure(self, problem: ConfigurationError) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._logger.warning(
                "the API has replaced the refresh token, and the new one could not be kept for the next run: %s. This "
                "run goes on; before the next, make the file writable, and put a new refresh token into it",
                problem,
            )

    def _warn_of_no_file(self) -> None:
        if self._has_nowhere:
            self._has_nowhere = False
            self._logger.warning(
                "the API has replaced the refresh token, and the new one can't be kept for the next run: the setting "
                "'%s' does not come from one config file alone. Put it into one file that is given with --config",
                self.setting,
            )
