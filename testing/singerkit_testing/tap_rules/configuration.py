"""The config: what is refused, what is tolerated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.rows import missing, sent, show, unsteady
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.tap_rules.resuming import middle_of_replication_keys
from singerkit_testing.values import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab, TapRun

NOT_OBJECTS = (b"[]", b'"x"', b"null")


def _config(tap: TapLab) -> dict[str, Any]:
    if tap.config is None:
        raise NotApplicable("the tap was given no config")
    return tap.config


@tap_rule(
    "CLI-003",
    "a config that is no object is refused",
    severity=Severity.MUST,
    source="SPEC.md, Config: an object",
    remedy="Check the type of the config before anything else.",
)
def config_must_be_an_object(tap: TapLab) -> Iterator[Finding]:
    """Give a list, a text, null."""
    _ = _config(tap)
    for text in NOT_OBJECTS:
        run = tap.run(config=text, catalog=tap.everything_selected)
        if run.exit_code == 0:
            yield Finding(f"the config {text.decode()} is accepted", run.last_words())


@tap_rule(
    "CLI-004",
    "a config that is missing, unreadable or incomplete is refused before anything is sent, by name",
    severity=Severity.MUST,
    source="singer-python, check_config; SPEC.md, Output",
    remedy="Check the config first, and name the file or the setting in the error.",
)
def broken_configs_are_refused(tap: TapLab) -> Iterator[Finding]:
    """No such file, no JSON, and each required setting left out."""
    config = _config(tap)
    absent = tap.run_with_words("--config", "/nonexistent/zz-config.json")
    yield from _judged(absent, "a config file that does not exist", "zz-config.json")
    unreadable = tap.run(config=b'{"a": ', catalog=tap.everything_selected)
    yield from _judged(unreadable, "a config that is no JSON", "config.json")
    for name in required_settings(tap):
        if name in config:
            yield from _judged(without_setting(tap, name), f"a config without {name}", name)


def _judged(run: TapRun, what: str, name: str) -> Iterator[Finding]:
    if run.exit_code == 0:
        yield Finding(f"{what} is accepted", run.last_words())
    elif run.stdout.strip():
        yield Finding(f"something is written to stdout with {what}", run.stdout[:200])
    elif name not in run.errors:
        yield Finding(f"the error about {what} does not name it", run.last_words(), severity=Severity.SHOULD)


def required_settings(tap: TapLab) -> list[str]:
    """Name the settings that the tap declares as required; without the secret ones where it is replayed."""
    declared = (tap.about or {}).get("settings")
    names = declared.get("required") if isinstance(declared, dict) else None
    required = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return [name for name in required if not (tap.is_replayed and _is_secret(tap.settings.get(name)))]


def _is_secret(setting: Any) -> bool:
    return isinstance(setting, dict) and bool(setting.get("secret") or setting.get("writeOnly"))


def without_setting(tap: TapLab, name: str) -> TapRun:
    """Sync with a config that lacks a setting; made once for each."""
    config = {other: value for other, value in _config(tap).items() if other != name}
    return tap.remember(("without", name), lambda: tap.run(config=config, catalog=tap.everything_selected))


@tap_rule(
    "CLI-005",
    "all settings that are missing are named at once",
    severity=Severity.INFO,
    source="singer-python, check_config",
    remedy="Collect what is wrong with a config, and say it in one go.",
)
def all_missing_settings_are_named(tap: TapLab) -> Iterator[Finding]:
    """Give an empty config, for taps that declare two required settings or more."""
    if tap.is_replayed:
        raise NotApplicable("the recording gives what an empty config lacks")
    required = required_settings(tap)
    if len(required) < 2:
        raise NotApplicable("the tap declares fewer than two required settings")
    run = tap.run(config={}, catalog=tap.everything_selected)
    unnamed = [name for name in required if name not in run.errors]
    if unnamed:
        yield Finding(f"with an empty config the error does not name {', '.join(unnamed)}", run.last_words())


@tap_rule(
    "CLI-006",
    "settings that the tap does not know are tolerated",
    severity=Severity.MUST,
    source="SPEC.md, Config: its form is the tap's own; runners add to it",
    remedy="Log a warning about unknown settings; don't refuse them.",
)
def unknown_settings_are_tolerated(tap: TapLab) -> Iterator[Finding]:
    """One more setting, in a sync."""
    _ = tap.synced
    run = tap.run(config={**_config(tap), "zz_unknown": 1}, catalog=tap.everything_selected)
    if not run.ok:
        yield Finding(f"a config with an unknown setting is refused: {run.ending()}")


@tap_rule(
    "CLI-007",
    "start_date is an RFC 3339 date-time, in UTC or with an offset",
    severity=Severity.SHOULD,
    source="CONFIG_AND_STATE.md, start_date",
    remedy="Parse start_date with its offset, and compare instants.",
)
def start_date_may_have_an_offset(tap: TapLab) -> Iterator[Finding]:
    """Write the same instant with Z and with two offsets: the same rows come."""
    start = middle_of_replication_keys(tap)
    plain = tap.with_start_date(start)
    if not plain.ok:
        raise NotApplicable("a sync with start_date failed")
    for text in _spellings(start):
        run = tap.with_start_date(text)
        lost = missing(tap, sent(tap, plain), sent(tap, run))
        more = missing(tap, sent(tap, run), sent(tap, plain))
        if not run.ok:
            yield Finding(f"start_date {text} is refused: {run.ending()}")
        elif any(row[0] not in unsteady(tap) for row in lost + more):
            yield Finding(f"start_date {text} gives other rows than {start}: {show(lost + more)}")


def _spellings(start: str) -> list[str]:
    from datetime import timedelta, timezone

    instant = instant_of(start)
    if instant is None:
        return []
    ahead = instant.second.astimezone(timezone(timedelta(hours=5, minutes=30)))
    return [start.replace("Z", "+00:00"), ahead.isoformat()]
