"""What newer taps can do besides: --version, --about, --test, settings from the environment, mapped streams."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from singerkit_testing.rows import contents
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.settings import capabilities_of
from singerkit_testing.structured_logs import REMEDY, SOURCE, TITLE, structured_logging, unstructured
from singerkit_testing.tap_rules.configuration import required_settings, without_setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab, TapRun

_SECRET_NAME = re.compile(r"(^|_)(password|secret|token|api_?key|private_?key)$", re.IGNORECASE)
_SOURCE = "Meltano SDK (an extension)"


@tap_rule(
    "EXT-001",
    "the option --version says the version on one line, without a config",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="Print the name and the version, and end with exit code 0.",
    needs=["about"],
)
def version_is_one_line(tap: TapLab) -> Iterator[Finding]:
    """Exit code and number of lines."""
    run = tap.run("--version", config=None)
    lines = run.stdout.strip().splitlines()
    if not run.ok or len(lines) != 1:
        yield Finding(f"--version: {run.how_it_ended()}, {len(lines)} lines on stdout", run.stdout[:200])


@tap_rule(
    "EXT-002",
    "the options --about --format=json give one JSON document with name, version, capabilities and settings",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="Describe the tap without any config: capabilities as a list, settings as a JSON Schema.",
    needs=["about"],
)
def about_is_complete(tap: TapLab) -> Iterator[Finding]:
    """Look at the members and their types."""
    about = tap.about or {}
    kinds: dict[str, type] = {"name": str, "version": str, "capabilities": list, "settings": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(about.get(name), kind)]
    if wrong:
        yield Finding(f"missing, or of the wrong type: {', '.join(wrong)}", json.dumps(about, default=str))


@tap_rule(
    "EXT-003",
    "the capabilities that a tap declares are there",
    severity=Severity.MUST,
    source=_SOURCE,
    remedy="Declare only what works.",
    needs=["about"],
)
def capabilities_are_true(tap: TapLab) -> Iterator[Finding]:
    """Those that can be tried from outside: discover, catalog, state, test, stream-maps, schema-flattening."""
    declared = capabilities_of(tap.about)
    if not declared:
        raise NotApplicable("the tap declares no capabilities")
    for name, run in _probes(tap, declared):
        if not run.ok:
            yield Finding(f"declared is {name}, but it failed: {run.ending()}")


def _probes(tap: TapLab, declared: set[str]) -> Iterator[tuple[str, TapRun]]:
    if "discover" in declared:
        yield "discover", tap.discovery
    if not tap.synced.ok:
        return
    last = tap.synced.transcript.last_state
    if "state" in declared and last is not None:
        yield "state", tap.resumed(last.state)
    if "test" in declared:
        yield "test", _tested(tap)
    if "stream_maps" in declared:
        yield "stream-maps", _identity_mapped(tap)


@tap_rule(
    "EXT-004",
    "each setting that is declared as required is required",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="List in settings.required what the tap can't do without, and nothing else.",
    needs=["about"],
)
def required_settings_are_required(tap: TapLab) -> Iterator[Finding]:
    """Each is left out in turn."""
    names = [name for name in required_settings(tap) if name in (tap.config or {})]
    if not names:
        raise NotApplicable("the tap declares no required settings")
    for name in names:
        run = without_setting(tap, name)
        if run.exit_code == 0:
            yield Finding(f"{name} is declared as required, and nothing happens without it", run.last_words())


@tap_rule(
    "EXT-005",
    "secret settings are declared as secret",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy='Mark them "secret": true and "writeOnly": true in the settings: runners mask them then.',
    needs=["about"],
)
def secrets_are_declared(tap: TapLab) -> Iterator[Finding]:
    """Look at settings whose names say that they are secret."""
    if not tap.settings:
        raise NotApplicable("the tap declares no settings")
    for name, schema in tap.settings.items():
        is_marked = isinstance(schema, dict) and (schema.get("secret") or schema.get("writeOnly"))
        if _SECRET_NAME.search(name) and not is_marked:
            yield Finding(f"{name} is not declared as secret")


@tap_rule(
    "EXT-006",
    "the option --config=ENV takes settings from the environment, and of several configs the last one wins",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="Read <NAME>_<SETTING>, upper case, as text or JSON; merge configs from left to right.",
    needs=["about"],
)
def settings_come_from_the_environment(tap: TapLab) -> Iterator[Finding]:
    """Discovery with all settings from the environment, then with the config in two parts."""
    config = tap.config or {}
    if "ENV" not in tap.help.stdout.decode("utf-8", "replace") or not config or not tap.discovery.ok:
        raise NotApplicable("the help does not mention ENV, or there is no config")
    prefix = str((tap.about or {}).get("name")).upper().replace("-", "_")
    variables = {f"{prefix}_{name.upper()}": _as_text(value) for name, value in config.items()}
    from_environment = tap.run("--config=ENV", "--discover", config=None, environment=variables)
    if from_environment.document.value != tap.discovery.document.value:
        yield Finding(f"discovery with --config=ENV differs: {from_environment.ending()}")
    names = sorted(config)
    half = {name: config[name] for name in names[: len(names) // 2]}
    rest = {name: config[name] for name in names[len(names) // 2 :]}
    merged = tap.run_with_words("--config", "{first}", "--config", "{config}", "--discover", config=rest, first=half)
    if merged.document.value != tap.discovery.document.value:
        yield Finding(f"discovery with the config in two files differs: {merged.ending()}")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@tap_rule(
    "EXT-007",
    "the option --test reads at most one record of each stream; --test=schema only writes schemas",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="Stop each stream after its first record.",
    needs=["about"],
)
def test_is_short(tap: TapLab) -> Iterator[Finding]:
    """For taps whose help has --test."""
    if "--test" not in tap.help.stdout.decode("utf-8", "replace"):
        raise NotApplicable("the help does not mention --test")
    run = _tested(tap)
    if not run.ok:
        yield Finding(f"--test: {run.ending()}")
    for stream in run.transcript.streams:
        number = len(run.transcript.records_of(stream))
        if number > 1:
            yield Finding(f"--test gives {number} records of the stream", stream=stream)
    schemas = tap.run("--test=schema", catalog=tap.everything_selected)
    if not schemas.ok or schemas.transcript.records:
        yield Finding(f"--test=schema: {len(schemas.transcript.records)} records, {schemas.ending()}")


def _tested(tap: TapLab) -> TapRun:
    return tap.remember("--test", lambda: tap.run("--test", catalog=tap.everything_selected))


@tap_rule(
    "EXT-009",
    "a stream map that changes nothing changes nothing",
    severity=Severity.SHOULD,
    source=_SOURCE,
    remedy="Let records pass through as they are where no property is mapped.",
    needs=["about", "stream_maps"],
)
def identity_maps_change_nothing(tap: TapLab) -> Iterator[Finding]:
    """Give an empty map for each stream, and flattening to the depth 0 where it is known."""
    run = _identity_mapped(tap)
    if not run.ok:
        yield Finding(f"with empty stream maps the sync failed: {run.ending()}")
    elif contents(tap, run) != contents(tap, tap.synced):
        yield Finding("with empty stream maps other records are sent")


def _identity_mapped(tap: TapLab) -> TapRun:
    more: dict[str, Any] = {"stream_maps": {stream: {} for stream in tap.synced.transcript.streams}}
    if "schema_flattening" in capabilities_of(tap.about):
        more |= {"flattening_enabled": True, "flattening_max_depth": 0}
    config = {**(tap.config or {}), **more}
    return tap.remember("identity maps", lambda: tap.run(config=config, catalog=tap.everything_selected))


@tap_rule(
    "EXT-011",
    TITLE,
    severity=Severity.SHOULD,
    source=SOURCE,
    remedy=REMEDY,
    needs=["about", "structured_logging"],
)
def logs_are_structured(tap: TapLab) -> Iterator[Finding]:
    """Look at the log of a full sync, and of one that is given a state that can't be read."""
    catalog = tap.everything_selected
    with structured_logging() as environment:
        good = tap.run(catalog=catalog, environment=environment)
        failed = tap.run(catalog=catalog, environment=environment, state=b"nope\n")
    yield from unstructured(good, failed)
