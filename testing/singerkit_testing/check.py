"""The command line of the harness: ``singerkit check tap-x --config c.json``."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from singerkit_testing import rules
from singerkit_testing.errors import HarnessError
from singerkit_testing.fake_server import serving
from singerkit_testing.functions import find_function
from singerkit_testing.judgement import ExitCode, Judgement, Kind, kind_of, name_of, now, topic_of
from singerkit_testing.mapper_lab import MapperLab
from singerkit_testing.process import words_of
from singerkit_testing.readers import named_source
from singerkit_testing.recordings import recorded_config, recording_options
from singerkit_testing.report import save, writer_for
from singerkit_testing.rules import Result, Rule, choose, judge
from singerkit_testing.settings import read_config, read_exactly
from singerkit_testing.tap_lab import Expectation, TapLab
from singerkit_testing.target_lab import TargetLab

if TYPE_CHECKING:
    from rich.console import Console

_HELP = """Check a tap, a target or a mapper, in whatever language, against the Singer specification.

COMMAND is the connector's command line, in quotes if it has several words. It is run many times, each time in a fresh
folder; paths in the config are taken from where you are now. A target's config says {workdir} where it should write,
and --reader says how to read that back:

\b
  singerkit check tap-csv --config config.json
  singerkit check 'python tap.py' --config config.json --report report.html --report junit.xml
  singerkit check tap-x --replay tests/recordings
  singerkit check target-x --config target.json --reader 'sqlite:///{workdir}/out.db'
  singerkit check target-y --config target.json --reader '{workdir}'
  singerkit check mapper-x --config mapper.json
"""

_EPILOG = """\b
Exit code: 0 conformant; 1 a must is broken (with --strict: or a should); 2 wrong usage;
3 the harness could not do its work; 4 nothing is proven (no records, nothing read back).
"""

# A reader that says: I know that nothing is read back.
_NO_READER = "none"
_RULES: Mapping[Kind, Callable[..., list[Rule]]] = {
    Kind.TAP: rules.tap_rules,
    Kind.TARGET: rules.target_rules,
    Kind.MAPPER: rules.mapper_rules,
}


@dataclass(frozen=True)
class Order:
    """What to judge, and how; the options of the command line under their own names."""

    command: str
    kind: Kind
    config: str | None
    options: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.options[name]


def main(argv: Sequence[str] | None = None) -> int:
    """Check the connector that the words name, print the outcome, and give the exit code."""
    try:
        code = _command.main(
            list(sys.argv[1:] if argv is None else argv), prog_name="singerkit check", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except HarnessError as error:
        click.echo(f"singerkit check: {error}", err=True)
        return ExitCode.HARNESS
    except (click.Abort, KeyboardInterrupt):
        click.echo("singerkit check: interrupted", err=True)
        return 130
    return int(code or 0)


def _use_profile(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if path is None:
        return
    try:
        profile = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} can't be used: {error}") from error
    context.default_map = {name.replace("-", "_"): value for name, value in profile.items()}


@click.command(help=_HELP, epilog=_EPILOG)
@click.argument("command", required=False)
@click.option("--config", metavar="FILE", help="The connector's config, JSON.")
@click.option("--tap", "kind", flag_value="tap", type=str, help="It is a tap, whatever its name says.")
@click.option("--target", "kind", flag_value="target", type=str, help="It is a target, whatever its name says.")
@click.option("--mapper", "kind", flag_value="mapper", type=str, help="It is a mapper, whatever its name says.")
@click.option("--catalog", metavar="FILE", help="Tap: the catalog to use; otherwise discovery's.")
@click.option("--expect", metavar="FILE", help="Tap: JSON with what the source holds: streams, non_empty, records.")
@click.option("--broken-config", metavar="FILE", multiple=True, help="Tap: a config that can't work.")
@click.option(
    "--mutate-source", metavar="COMMAND", help="Tap: changes the source; gets insert_tie, update_old, delete."
)
@click.option("--server", metavar="MODULE:FUNCTION", help="Answers in place of an API; {server} in the config.")
@click.option("--record", metavar="DIR", help="Tap: have it record what it is answered, for --replay.")
@click.option("--replay", metavar="DIR", help="Tap: have it answered from there, without its source.")
@click.option("--reader", metavar="WHERE", help="Target: a SQL URL, a folder, MODULE:FUNCTION, or 'none'.")
@click.option(
    "--load-method", type=click.Choice(["append", "upsert", "overwrite"]), help="Target: otherwise found out."
)
@click.option("--batch-size-setting", metavar="NAME", help="Target: the setting that limits a batch's rows.")
@click.option("--ability", metavar="NAME", multiple=True, help="Something it can do that does not show.")
@click.option("--rules", metavar="IDS", multiple=True, help="Only these: TAP-06*,TGT-100; without some: -TAP-013.")
@click.option("--skip", metavar="ID=REASON", multiple=True, help="Do not apply a rule, and say why.")
@click.option("--properties", is_flag=True, help="Also generate input: resume and kill anywhere, read back anything.")
@click.option("--seed", type=int, default=0, show_default=True, help="Where generating starts.")
@click.option("--strict", is_flag=True, help="A broken should counts like a must.")
@click.option("--timeout", metavar="SECONDS", type=float, help="For each run of the connector.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=rules.WORKERS,
    show_default="processors",
    help="Rules applied at a time.",
)
@click.option("--report", metavar="FILE", multiple=True, help="Also write .html, .xml (JUnit), .json, .md, badge.json.")
@click.option(
    "--profile", metavar="FILE", is_eager=True, expose_value=False, callback=_use_profile, help="Options, TOML."
)
@click.option("-v", "--verbose", is_flag=True, help="List all rules, with what they took.")
@click.option("--list", "list_rules", is_flag=True, help="List the rules, and do nothing else.")
@click.option("--explain", metavar="ID", help="Explain one rule, and do nothing else.")
def _command(command: str | None, kind: str | None, config: str | None, **options: Any) -> int:
    if options["list_rules"] or options["explain"]:
        _show_rules(kind, options["explain"], properties=options["properties"])
        return ExitCode.CONFORMANT
    if command is None:
        raise click.UsageError("name the command to check")
    return _check(Order(command, _kind(command, kind), config, options))


def _kind(command: str, kind: str | None) -> Kind:
    words = words_of(command)
    found = Kind(kind) if kind else kind_of(words)
    if found is None:
        raise click.UsageError(f"is '{command}' a tap or a target? Say --tap or --target, or --mapper")
    return found


def _check(order: Order) -> int:
    from rich.console import Console  # the list of rules does without

    chosen = _chosen(order)
    for destination in order.report:
        writer_for(destination)  # a name that says nothing is better found out now
    judgement = _judgement(order, chosen, Console(stderr=True))
    from singerkit_testing.report import table

    table.show(judgement, Console(highlight=False), strict=order.strict, verbose=order.verbose)
    for destination in order.report:
        save(judgement, destination)
    return judgement.exit_code(strict=order.strict)


def _chosen(order: Order) -> list[Rule]:
    load = _RULES[order.kind]
    patterns = [pattern.strip() for listed in order.rules for pattern in listed.split(",")]
    return choose(load(properties=order.properties), patterns)


def _judgement(order: Order, chosen: list[Rule], console: Console) -> Judgement:
    began = time.monotonic()
    started = now()
    respond = find_function(order.server) if order.server else None
    given = recorded_config(order.replay) if order.config is None else read_config(order.config)
    with serving(respond, given) as config, _lab(order, config) as lab:
        name = name_of(lab.command, order.kind)
        with console.status(f"{name}: {len(chosen)} rules") as status:
            left = iter(range(len(chosen) - 1, -1, -1))

            def tell(result: Result) -> None:
                status.update(f"{name}: {next(left)} of {len(chosen)} rules left, last {result.rule.id}")

            results = judge(chosen, lab, bypass=_bypass(order.skip), workers=order.workers, report=tell)
            hollow = () if order.reader == _NO_READER else lab.hollow
    return Judgement(order.kind, lab.command, tuple(results), started, time.monotonic() - began, hollow)


def _lab(order: Order, config: Mapping[str, Any] | None) -> TapLab | TargetLab | MapperLab:
    if order.kind is Kind.MAPPER:
        return MapperLab(order.command, config, timeout_s=order.timeout or 30.0, abilities=order.ability)
    if order.kind is Kind.TAP:
        return TapLab(
            order.command,
            config,
            timeout_s=order.timeout or 30.0,
            expect=_expectation(order.expect),
            broken_configs=[read_config(path) or {} for path in order.broken_config],
            mutate_source=_mutation(order.mutate_source),
            catalog=read_config(order.catalog),
            abilities=order.ability,
            options=recording_options(record=order.record, replay=order.replay),
            seed=order.seed,
        )
    return TargetLab(
        order.command,
        config,
        reader=None if order.reader == _NO_READER else named_source(order.reader),
        timeout_s=order.timeout or 60.0,
        batch_size_setting=order.batch_size_setting,
        load_method=order.load_method,
        abilities=order.ability,
        seed=order.seed,
    )


def _expectation(path: str | None) -> Expectation | None:
    try:
        return None if path is None else Expectation(**read_exactly(Path(path)))
    except TypeError as error:
        raise HarnessError(f"{path} may hold streams, non_empty and records") from error


def _mutation(command: str | None) -> Callable[[str], None] | None:
    if command is None:
        return None
    words = words_of(command)

    def mutate(action: str) -> None:
        done = subprocess.run([*words, action], capture_output=True, check=False, timeout=60)  # noqa: S603 - the user's own
        if done.returncode:
            raise HarnessError(f"{command} {action} failed: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}")

    return mutate


def _bypass(listed: Sequence[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in listed]
    for rule, _, reason in pairs:
        if not reason:
            raise click.UsageError(f"--skip {rule} needs its reason: --skip '{rule}=why it does not apply'")
    return {rule: reason for rule, _, reason in pairs}


def _show_rules(kind: str | None, explained: str | None, *, properties: bool) -> None:
    kinds = list(Kind) if kind is None else [Kind(kind)]
    # Mappers share rules with taps.
    known = list(dict.fromkeys(rule for each in kinds for rule in _RULES[each](properties=properties)))
    if explained is None:
        for rule in known:
            click.echo(f"{rule.id:8}  {rule.severity:6}  {rule.title}")
        return
    for rule in choose(known, [explained]):
        click.echo(_explained(rule))


def _explained(rule: Rule) -> str:
    doc = " ".join((rule.check.__doc__ or "").split())
    needs = f"\n  needs     {', '.join(sorted(rule.needs))}" if rule.needs else ""
    return (
        f"{rule.id}  {rule.title}\n  severity  {rule.severity}\n  topic     {topic_of(rule)}\n"
        f"  how       {doc}\n  source    {rule.source}\n  remedy    {rule.remedy}{needs}"
    )


if __name__ == "__main__":
    sys.exit(main())
