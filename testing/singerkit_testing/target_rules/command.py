"""The command line and the config: what a person and an orchestrator count on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import Sent, state
from singerkit_testing.outcomes import explains, lost, unclear
from singerkit_testing.process import Stdin
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_rules.framing import few

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singerkit_testing.target_lab import Load, TargetLab

_CONFIG = "SPEC.md, Configuration: --config names a file that holds a JSON object"
_COMMAND = "SPEC.md, Synopsis: target --config CONFIG"


def _with_config(target: TargetLab, config: Any) -> Load:
    """Run with another config over messages that must not be stored."""
    key = f"config {config!r}"
    return target.remember(key, lambda: target.load(few("unconfigured", state({"n": 1})), config=config))


def _required(target: TargetLab) -> list[str]:
    declared = ((target.about or {}).get("settings") or {}).get("required")
    given = target.config or {}
    return [name for name in declared if name in given] if isinstance(declared, list) else []


def _without(target: TargetLab, name: str) -> Load:
    """Run without one of the settings."""

    def run() -> Load:
        place = target.fresh()
        config = {setting: value for setting, value in place.config().items() if setting != name}
        return place.load(few("unconfigured"), config=config)

    return target.remember(("without", name), run)


@target_rule(
    "TGT-019",
    "a config that can't be used ends the run before anything is stored",
    severity=Severity.MUST,
    source=_CONFIG,
    remedy="Check the config first; end with another exit code than 0 before stdin is read.",
)
def an_unusable_config_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Give a config that is cut off, empty, a list, and none of the settings, with messages on stdin."""
    configs: list[Any] = [b'{"half": ', b"", b"[]"]
    for config in configs:
        load = _with_config(target, config)
        if load.ok:
            yield Finding(f"exit code 0 with a config that holds {config.decode() or 'nothing'}")
        if load.states:
            yield Finding("a state was released without a usable config", load.stdout)
        written = [path.name for path in load.destination.folder.rglob("*") if path.is_file()]
        if written:
            yield Finding("something was stored without a usable config", written)


@target_rule(
    "CLI-001",
    "--config FILE is accepted",
    severity=Severity.MUST,
    source=_COMMAND,
    remedy="Take the option --config with the path of a JSON file.",
)
def config_is_accepted(target: TargetLab) -> Iterator[Finding]:
    """Look at the baseline, which is run with --config."""
    load = target.baseline
    if not load.ok and "--config" in load.errors:
        yield Finding(f"--config is not accepted: {load.ending()}")


@target_rule(
    "CLI-002",
    "-c is short for --config",
    severity=Severity.INFO,
    source="singer-python: short forms of the options; not in SPEC.md",
    remedy="Take -c as well as --config.",
)
def config_has_a_short_form(target: TargetLab) -> Iterator[Finding]:
    """Run with -c."""
    load, _ = _run_with(target, "-c", "{config}")
    if not load.ok:
        yield Finding(f"-c is not accepted: {load.ending()}")


@target_rule(
    "CLI-003",
    "the config is an object",
    severity=Severity.MUST,
    source=_CONFIG,
    remedy="Refuse a config whose root is a list, a text, a number or null.",
)
def the_config_is_an_object(target: TargetLab) -> Iterator[Finding]:
    """Give a list, a text and null."""
    for config in (b"[]", b'"text"', b"null"):
        load = _with_config(target, config)
        if load.ok:
            yield Finding(f"exit code 0 with the config {config.decode()}")


@target_rule(
    "CLI-004",
    "a missing config or setting is refused in plain words",
    severity=Severity.MUST,
    source=_CONFIG,
    remedy="Name the file, or the setting, in one line of the log, and end with another exit code than 0.",
)
def a_missing_config_is_refused(target: TargetLab) -> Iterator[Finding]:
    """Name a file that does not exist, one that is no JSON, and leave out each required setting that the config has."""
    place = target.fresh()
    load = place.load(few("unconfigured"), config=None, arguments=["--config", "nowhere.json"])
    yield from _refused_config(load, ["nowhere.json"], "a config file that does not exist")
    yield from _refused_config(_with_config(target, b'{"half": '), ["config", "json"], "a config that is cut off")
    for name in _required(target):
        load = _without(target, name)
        yield from _refused_config(load, [name], f"a config without the required {name}")


def _refused_config(load: Load, words: Sequence[str], what: str) -> Iterator[Finding]:
    if load.ok:
        yield Finding(f"exit code 0 with {what}")
    else:
        yield from unclear(load, words, what)
    if load.stdout:
        yield Finding(f"something is on stdout with {what}", load.stdout)


@target_rule(
    "CLI-005",
    "all missing settings are reported at once",
    severity=Severity.INFO,
    source="singer-python: check_config",
    remedy="Collect what is missing before you give up.",
)
def all_missing_settings_are_reported(target: TargetLab) -> Iterator[Finding]:
    """Leave all required settings out."""
    names = _required(target)
    if len(names) < 2:
        raise NotApplicable("fewer than two settings are required")
    load = target.load(few("unconfigured"), config={})
    missing = [name for name in names if not explains(load, [name])]
    if missing:
        yield Finding(f"the error does not name {', '.join(missing)}: {load.last_words()}")


@target_rule(
    "CLI-006",
    "a setting that nobody knows is ignored",
    severity=Severity.MUST,
    source=f"{_CONFIG}; its members vary",
    remedy="Ignore unknown settings, or warn about them.",
)
def unknown_settings_are_ignored(target: TargetLab) -> Iterator[Finding]:
    """Add a setting."""
    if _unusual_config(target).ok:
        return
    load = target.load(few("configured"), settings={"zz_unknown": 1})
    if target.loaded.ok and not load.ok:
        yield Finding(f"an unknown setting ends the run: {load.ending()}")


@target_rule(
    "CLI-008",
    "the config may lie anywhere",
    severity=Severity.INFO,
    source="POSIX: a path may be relative, and hold blanks and any letters",
    remedy="Open the path as it is given.",
)
def the_config_may_lie_anywhere(target: TargetLab) -> Iterator[Finding]:
    """Use a relative path with a blank and with letters beyond ASCII."""
    if _unusual_config(target).ok:
        return
    for path in ("my confïg.json", "config.json"):
        load, _ = _run_with(target, "--config", "{config}", name=path)
        if load.ok:
            return
        yield Finding(f"--config {path!r} fails: {load.ending()}")


@target_rule(
    "CLI-009",
    "--config=FILE is the same as --config FILE",
    severity=Severity.MUST,
    source="POSIX and GNU conventions for options",
    remedy="Parse options with a library that takes both forms.",
)
def an_option_may_have_an_equals_sign(target: TargetLab) -> Iterator[Finding]:
    """Run with an equals sign."""
    load, messages = _unusual_config(target), _CONFIGURED
    if not load.ok:
        load, messages = _run_with(target, "--config={config}")
    if not load.ok:
        yield Finding(f"--config=FILE fails: {load.ending()}")
    else:
        yield from lost(target, load.destination, messages, "configured")


_CONFIGURED = few("configured", state({"n": 1}))


def _unusual_config(target: TargetLab) -> Load:
    """Run with all at once that three rules look at; only if that fails, each looks at its own alone."""

    def run() -> Load:
        return _run_with(target, "--config={config}", name="my confïg.json", settings={"zz_unknown": 1})[0]

    return target.remember("unusual config", run)


def _run_with(
    target: TargetLab, *arguments: str, name: str = "config.json", settings: dict[str, Any] | None = None
) -> tuple[Load, list[Sent]]:
    """Run with a config in the working folder, named as the arguments say."""
    place = target.fresh()
    (place.work / name).write_text(json.dumps(place.config(settings)))
    words = [argument.replace("{config}", name) for argument in arguments]
    return place.load(_CONFIGURED, config=None, arguments=words), _CONFIGURED


@target_rule(
    "CLI-010",
    "--help helps, and an unknown option is refused",
    severity=Severity.SHOULD,
    source="GNU conventions for options",
    remedy="Print the options with --help and exit with 0; end with another exit code for an option you don't know.",
)
def help_helps(target: TargetLab) -> Iterator[Finding]:
    """Ask for help, then use an option that does not exist."""
    if not target.help.ok:
        yield Finding(f"--help fails: {target.help.ending()}")
    elif b"--config" not in target.help.stdout + target.help.stderr:
        yield Finding("--help does not mention --config", target.help.stdout)
    load = target.load([], arguments=["--zz-unknown-option"])
    if load.ok:
        yield Finding("exit code 0 with an option that does not exist")


@target_rule(
    "CLI-011",
    "the run ends with its input, and asks nothing",
    severity=Severity.SHOULD,
    source="RUNNING_AND_DEVELOPING.md, Targets: messages come from stdin",
    remedy="Never prompt; treat a closed stdin as the end of input.",
)
def nothing_is_asked(target: TargetLab) -> Iterator[Finding]:
    """Run with the null device for stdin, then without any."""
    for stdin in (Stdin.EMPTY, Stdin.CLOSED):
        place = target.fresh()
        with place.start(stdin=stdin, timeout_s=20) as running:
            load = place.finish(running)
        if load.timed_out:
            yield Finding(f"still running after {load.seconds:.0f} s although there is no input: {stdin.value}")


@target_rule(
    "EXT-001",
    "--version prints one line",
    severity=Severity.SHOULD,
    source="Meltano SDK, command line; not in SPEC.md",
    remedy="Print name and version on one line, without a config, and exit with 0.",
    needs=["about"],
)
def version_prints_one_line(target: TargetLab) -> Iterator[Finding]:
    """Ask for the version without a config."""
    load = target.load([], config=None, arguments=["--version"])
    if not load.ok or len(load.stdout.strip().splitlines()) != 1:
        yield Finding(f"--version: {load.how_it_ended()}", load.stdout or load.last_words())


@target_rule(
    "EXT-002",
    "--about --format=json is one object with what a tool needs",
    severity=Severity.SHOULD,
    source="Meltano SDK, --about; not in SPEC.md",
    remedy="Print name, version, capabilities and settings (a JSON Schema of the config) as one JSON object.",
    needs=["about"],
)
def about_is_complete(target: TargetLab) -> Iterator[Finding]:
    """Look at the members of --about."""
    about = target.about or {}
    shapes = {"name": str, "version": str, "capabilities": list, "settings": dict}
    for name, kind in shapes.items():
        if not isinstance(about.get(name), kind):
            yield Finding(f"--about has no {name}, or it is no {kind.__name__}", json.dumps(about))


@target_rule(
    "EXT-004",
    "the settings that --about calls required are",
    severity=Severity.SHOULD,
    source="Meltano SDK, --about; not in SPEC.md",
    remedy="Call a setting required if, and only if, a run without it is refused.",
    needs=["about"],
)
def required_settings_are_required(target: TargetLab) -> Iterator[Finding]:
    """Run without each required setting, then with no others."""
    names = _required(target)
    for name in names:
        if _without(target, name).ok:
            yield Finding(f"{name} is called required, but a run without it succeeds")
    if not names:
        return
    place = target.fresh()
    load = place.load(few("configured"), config={name: place.config()[name] for name in names})
    if not load.ok and target.loaded.ok:
        yield Finding(f"with the required settings alone the run fails: {load.ending()}", names)


@target_rule(
    "EXT-005",
    "secret settings never show in the log",
    severity=Severity.MUST,
    source="BEST_PRACTICES.md: no credentials in logs; Meltano SDK: secret and writeOnly settings",
    remedy="Mask the values of secret settings in everything that is logged, also in the errors of libraries.",
    needs=["about"],
)
def secrets_do_not_show(target: TargetLab) -> Iterator[Finding]:
    """Give secret settings a telling value, and look for it in the log of a good run and of a bad one."""
    secret = [name for name, form in target.settings.items() if isinstance(form, dict) and _is_secret(form)]
    if not secret:
        raise NotApplicable("no setting is called secret")
    planted = {
        name: f"canary-{number}-7f3a91" for number, name in enumerate(secret) if name not in (target.config or {})
    }
    known = {name: str(value) for name, value in {**(target.config or {}), **planted}.items() if name in secret}
    loads = [
        target.load(few("secretive", *more), settings=planted, environment={"LOGLEVEL": "DEBUG"})
        for more in ([], [b"no json"])
    ]
    for name, value in known.items():
        if len(value) > 3 and any(value.encode() in load.stderr + load.stdout for load in loads):
            yield Finding(f"the value of {name} is in the output")


def _is_secret(form: dict[str, Any]) -> bool:
    return form.get("secret") is True or form.get("writeOnly") is True


@target_rule(
    "EXT-006",
    "--config=ENV reads the settings from the environment, and configs are merged",
    severity=Severity.SHOULD,
    source="Meltano SDK, command line; not in SPEC.md",
    remedy="Take TARGET_NAME_SETTING for each setting; let a later --config win.",
    needs=["about"],
)
def settings_may_come_from_the_environment(target: TargetLab) -> Iterator[Finding]:
    """Put all settings into variables; then into two files of which the later one is right."""
    if b"ENV" not in target.help.stdout:
        raise NotApplicable("--help does not mention ENV")
    place = target.fresh()
    config = place.config()
    if not all(isinstance(value, str) for value in config.values()):
        raise NotApplicable("not all settings are texts")
    prefix = str((target.about or {})["name"]).upper().replace("-", "_")
    variables = {f"{prefix}_{name.upper()}": str(value) for name, value in config.items()}
    messages = few("configured")
    load = place.load(messages, config=None, arguments=["--config=ENV"], environment=dict(variables))
    yield from _same(target, load, messages, "--config=ENV")
    place = target.fresh()
    for name, content in (("1.json", dict.fromkeys(place.config(), "/nowhere/at/all")), ("2.json", place.config())):
        (place.work / name).write_text(json.dumps(content))
    load = place.load(messages, config=None, arguments=["--config", "1.json", "--config", "2.json"])
    yield from _same(target, load, messages, "two configs")


def _same(target: TargetLab, load: Load, messages: list[Sent], what: str) -> Iterator[Finding]:
    if not load.ok:
        yield Finding(f"{what} fails: {load.ending()}")
    else:
        yield from lost(target, load.destination, messages, "configured")


@target_rule(
    "EXT-008",
    "--input FILE is the same as stdin",
    severity=Severity.SHOULD,
    source="Meltano SDK, command line; not in SPEC.md",
    remedy="Read messages from the file that --input names.",
    needs=["about"],
)
def input_may_be_a_file(target: TargetLab) -> Iterator[Finding]:
    """Run over a file."""
    if b"--input" not in target.help.stdout:
        raise NotApplicable("--help does not mention --input")
    place = target.fresh()
    messages = few("configured", state({"n": 1}))
    (place.work / "messages.jsonl").write_bytes(place.input_of(messages))
    load = place.load([], arguments=["--input", "messages.jsonl"])
    yield from _same(target, load, messages, "--input FILE")
    if load.ok and not load.states:
        yield Finding("the state of the file was not released")
