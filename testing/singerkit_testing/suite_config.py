"""What an author says once about the tests of a connector class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singerkit_testing.readers import ReaderSource
    from singerkit_testing.tap_lab import Expectation


@dataclass
class SuiteConfig:
    """How the tests of a connector class run.

    Shape: the first three are for the tests of streams and attributes: `max_records_limit` records of each stream are
    read (None: all), and a stream without records is no failure if `ignore_no_records`, or its name in
    `ignore_no_records_for_streams`, says so. The others are for the conformance rules: none at all without
    `conformance`; `rules` chooses (``TAP-06*``, ``-TAP-063``), `bypass` maps an id to the reason why it does not apply,
    `strict` makes a broken *should* a failure, `properties` generates input as well. The rest is handed to the lab; see
    `TapLab` and `TargetLab`. Units: `timeout_s` is for each run of the connector.
    """

    max_records_limit: int | None = 150
    ignore_no_records: bool = False
    ignore_no_records_for_streams: list[str] = field(default_factory=list)
    _: KW_ONLY
    conformance: bool = True
    rules: Sequence[str] = ()
    bypass: Mapping[str, str] = field(default_factory=dict)
    strict: bool = False
    properties: bool = False
    timeout_s: float = 60.0
    abilities: Iterable[str] = ()
    expect: Expectation | Mapping[str, Any] | None = None
    broken_configs: Iterable[Mapping[str, Any]] = ()
    mutate_source: Callable[[str], None] | None = None
    reader: ReaderSource | None = None
    batch_size_setting: str | None = None
    load_method: str | None = None
