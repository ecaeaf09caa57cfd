"""What the labs of taps, targets and mappers share: the program under test, its folders, what was found out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from singerkit_testing.errors import HarnessError
from singerkit_testing.folders import Folders
from singerkit_testing.once import Once
from singerkit_testing.process import Outcome, words_of
from singerkit_testing.settings import Config, capabilities_of, read_config, settings_of
from singerkit_testing.wire import decode

_Value = TypeVar("_Value")
# After so many runs that had to be ended, more would only cost time.
_MOST_TIMEOUTS = 4


class ConnectorLab:
    """A program under test, in folders that disappear at the end of a ``with`` block.

    Shape: `command` is a command line or its words; `abilities` declares what can't be seen from outside. A kind of lab
    says how the program is asked something (`asked`), and adds what its runs show (`seen_abilities`).

    Errors: ``HarnessError`` for a command or config that can't be used.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        config: Config,
        *,
        timeout_s: float,
        environment: Mapping[str, str | None] | None,
        abilities: Iterable[str],
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

    def remember(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        """Do something costly once for all rules, whichever asks first."""
        return self._once(("remembered", key), compute)

    def asked(self, *arguments: str) -> Outcome:
        """Run the program without a config or an input, to its end.

        Errors: ``HarnessError`` when so many runs had to be ended that another would be a waste.
        """
        raise NotImplementedError

    @property
    def help(self) -> Outcome:
        """The run with ``--help``."""
        return self._once("help", lambda: self.asked("--help"))

    @property
    def about(self) -> dict[str, Any] | None:
        """What the program says about itself (``--about --format=json``, an extension); None if it does not."""
        run = self._once("about", lambda: self.asked("--about", "--format=json"))
        value, problems = decode(run.stdout)
        return value if run.ok and not problems and isinstance(value, dict) and "name" in value else None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the program declares: name to schema; empty if it does not."""
        return settings_of(self.about)

    @property
    def abilities(self) -> frozenset[str]:
        """What the rules' `needs` can name: declared by the person, by the program, or seen in its runs."""
        seen = {"about": self.about is not None, **self.seen_abilities()}
        return self._declared | capabilities_of(self.about) | {name for name, has in seen.items() if has}

    def seen_abilities(self) -> dict[str, bool]:
        """Say which abilities showed, by name."""
        return {}

    def variables(self, more: Mapping[str, str | None] | None) -> dict[str, str | None]:
        """Give the environment variables to set, None removing one."""
        return {**self._environment, **(more or {})}

    def refuse_after_timeouts(self) -> None:
        """Stop trying.

        Errors: ``HarnessError`` when so many runs had to be ended that another would be a waste.
        """
        if self._timeouts >= _MOST_TIMEOUTS:
            raise HarnessError(f"not run any more: {self._timeouts} runs exceeded the time limit")

    def count_timeout(self, timed_out: bool) -> None:
        """Take note of a run that had to be ended."""
        self._timeouts += timed_out
