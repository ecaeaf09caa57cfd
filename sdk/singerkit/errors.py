"""Every error that singerkit raises on purpose.

The branch says who can act, the message says what was found, where, and what to do about it::

    SingerKitError                     exit code, stream, context as attributes
    ├─ ConfigurationError           2  the person who runs it can fix this
    │  ├─ ConfigValidationError        .errors: every problem of the config, one line each
    │  ├─ CatalogError
    │  ├─ StateError
    │  ├─ MissingExtraError            an optional dependency is not installed
    │  └─ MappingError                 a stream map that can't be understood
    ├─ DiscoveryError               3
    ├─ ProtocolError                4  .line_number, .byte_offset, .excerpt
    │  ├─ InvalidInputLine
    │  └─ RecordsWithoutSchemaException
    ├─ SyncError                    1
    │  ├─ RetriableSyncError
    │  │  └─ RetriableAPIError         .response
    │  ├─ SkippableSyncError
    │  ├─ FatalSyncError
    │  │  ├─ FatalAPIError
    │  │  │  ├─ AuthenticationError
    │  │  │  └─ RetryBudgetError   5  the time for trying again is used up: run again later
    │  │  └─ InvalidStreamSortException
    │  └─ DataError                    .violations: a record that breaks its stream's rules
    │     └─ MissingKeyPropertiesError
    └─ OutputClosed               141  the reader of our output went away: no fault of ours

No message holds a secret or a record's value. Stream and context are attached once, at the boundary of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import requests

EXCERPT_LENGTH = 120


class SingerKitError(Exception):
    """The root: anything singerkit raises on purpose."""

    exit_code: int = 1

    def __init__(
        self, message: str = "", *, stream: str | None = None, context: Mapping[str, Any] | None = None
    ) -> None:
        """Keep the message; the run attaches ``stream`` and ``context`` where the raiser does not know them."""
        super().__init__(message)
        self.stream = stream
        self.context = context

    def describe(self) -> str:
        """Give the one line that a person reads: where it happened, then what."""
        where = f"stream '{self.stream}': " if self.stream else ""
        return where + (str(self) or type(self).__name__)


class ConfigurationError(SingerKitError):
    """The config, catalog, state or installation is not usable; the person who runs it can fix this."""

    exit_code = 2


class ConfigValidationError(ConfigurationError):
    """The config breaks its schema.

    Shape: ``errors`` is a list of one-line problems, each beginning with the setting's path.
    """

    def __init__(self, message: str = "", *, errors: Sequence[str] = (), schema: dict[str, Any] | None = None) -> None:
        """Keep the list of problems beside the message."""
        super().__init__("\n  ".join([message, *errors]) if errors else message)
        self.errors = list(errors)
        self.schema = schema


class CatalogError(ConfigurationError):
    """The catalog is malformed, or names what the tap does not have."""


class StateError(ConfigurationError):
    """The state is malformed."""


class MissingExtraError(ConfigurationError):
    """An optional dependency is missing; the message names the extra that brings it."""


class MappingError(ConfigurationError):
    """A stream map that can't be understood or that is not allowed."""


class DiscoveryError(SingerKitError):
    """The source could not be asked what it has."""

    exit_code = 3


class ProtocolError(SingerKitError):
    """The input breaks the Singer protocol.

    Units: ``line_number`` counts from 1; ``byte_offset`` is the offset of the line's first byte, from 0.
    """

    exit_code = 4

    def __init__(
        self,
        message: str = "",
        *,
        stream: str | None = None,
        line_number: int | None = None,
        byte_offset: int | None = None,
        excerpt: str = "",
    ) -> None:
        """Keep where it was; ``excerpt`` is shown, so the caller has to keep record values out of it."""
        super().__init__(message, stream=stream)
        self.line_number = line_number
        self.byte_offset = byte_offset
        self.excerpt = excerpt[:EXCERPT_LENGTH]

    def describe(self) -> str:
        """Say line, offset, stream, what is wrong and an excerpt."""
        offset = "" if self.byte_offset is None else f" (byte {self.byte_offset})"
        place = f"line {self.line_number}{offset}: " if self.line_number else ""
        excerpt = f" [{self.excerpt}]" if self.excerpt else ""
        return place + super().describe() + excerpt


class InvalidInputLine(ProtocolError):
    """A line that is not a Singer message."""


class RecordsWithoutSchemaException(ProtocolError):
    """A RECORD (or BATCH) came before the SCHEMA of its stream."""


class SyncError(SingerKitError):
    """Something went wrong while data moved."""


class RetriableSyncError(SyncError):
    """Trying again may help."""


class RetriableAPIError(RetriableSyncError):
    """An API answer that is worth another try."""

    def __init__(self, message: str = "", response: requests.Response | None = None) -> None:
        """Keep the response, if there was one."""
        super().__init__(message)
        self.response = response


class SkippableSyncError(SyncError):
    """What failed can be left out: the run goes on and says so."""


class FatalSyncError(SyncError):
    """Trying again does not help."""


class FatalAPIError(FatalSyncError):
    """An API answer that trying again does not change."""


class AuthenticationError(FatalAPIError):
    """The credentials are refused."""


class RetryBudgetError(FatalAPIError):
    """The time for trying a request again is used up, or the pause that the API asks for does not fit into it.

    Its own exit code tells a scheduler that nothing is broken: the same run, later, may well succeed.
    """

    exit_code = 5


class InvalidStreamSortException(FatalSyncError):
    """A stream that says it is sorted by its replication key is not."""


class DataError(SyncError):
    """A record breaks the rules of its stream.

    Shape: ``violations`` holds one line a rule broken: JSON pointer, keyword, what was expected; never the value.
    """

    def __init__(
        self,
        message: str = "",
        *,
        stream: str | None = None,
        line_number: int | None = None,
        violations: Sequence[str] = (),
    ) -> None:
        """Keep where it was and every rule that the record breaks."""
        super().__init__(message, stream=stream)
        self.line_number = line_number
        self.violations = list(violations)

    def describe(self) -> str:
        """Say line and stream, then every violation."""
        place = f"line {self.line_number}: " if self.line_number else ""
        return "\n  ".join([place + super().describe(), *self.violations])


class MissingKeyPropertiesError(DataError):
    """A record lacks one of its stream's key properties."""


class OutputClosed(SingerKitError):
    """Whoever read our output went away (a broken pipe): end quietly, but not with success."""

    exit_code = 141
