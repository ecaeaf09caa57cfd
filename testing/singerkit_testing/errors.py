"""What stops the harness itself, as opposed to what it finds."""

from __future__ import annotations


class HarnessError(Exception):
    """The harness can't do its work: no such command, an unreadable config, a reader without its driver.

    The message is one sentence for a person; nothing about the connector follows from it.
    """


class OutOfTime(HarnessError):
    """A rule has used up its time; it is judged as an error, and the other rules go on."""


class Unreadable(HarnessError):
    """What a target stored can't be read back: a breach of whatever rule asked for it, not a fault of the harness."""
