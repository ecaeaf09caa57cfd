"""`singerkit deploy`: files for a scheduler, made of singer.toml."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.workplace import needed_project
from singerkit.errors import ConfigurationError
from singerkit.help_pages import page
from singerkit.runner.deploy import PLATFORMS, Choices, Deployment, plan_deployment

_HELP = """Write the files by which PLATFORM runs pipelines of singer.toml: all of them, or those that are named.

Schedules, limits and the variables to set come from singer.toml; those without a schedule are run by hand. The files
hold no secrets: what has to be set is listed. Commit them, and have CI check that they are up to date.

\b
Platforms:
{platforms}

\b
Examples:
  singerkit deploy github-actions
  singerkit deploy kubernetes --env prod --image registry.example.com/shop:7
  singerkit deploy systemd --folder /srv/shop --program /srv/venv/bin/singerkit --user shop
  singerkit deploy airflow --check
""".format(platforms="\n".join(f"  {name:<16}{platform.sentence}" for name, platform in PLATFORMS.items()))


@click.command("deploy", help=_HELP)
@click.argument("platform", type=click.Choice(list(PLATFORMS)), metavar="PLATFORM")
@click.argument("pipelines", nargs=-1)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="The folder to write to.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 where the files are not up to date.")
@click.option("--name", default="", help="The project's name, if not that of its folder.")
@click.option("--folder", default="", help="The project's folder on the machine that runs it.")
@click.option("--program", default="", help="The program singerkit on that machine.")
@click.option("--user", default="", help="The user that runs it (systemd).")
@click.option("--image", default="", help="The container image.")
@click.option("--requirement", default="", help="What pip installs there, if not this version of singerkit.")
@click.option("--variable", "variables", multiple=True, metavar="NAME", help="A further variable that programs need.")
@click.option("--shards", multiple=True, metavar="PIPELINE=COUNT", help="Divide a pipeline's units into shares.")
@click.option("--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not found above.")
@click.option("--env", "environment", help="The environment of singer.toml to use.")
def deploy(
    platform: str,
    pipelines: tuple[str, ...],
    output: Path | None,
    check: bool,
    name: str,
    folder: str,
    program: str,
    user: str,
    image: str,
    requirement: str,
    variables: tuple[str, ...],
    shards: tuple[str, ...],
    project_path: Path | None,
    environment: str | None,
) -> None:
    """Write the files, or compare them; ends the process."""

    def work() -> int:
        choices = Choices(
            pipelines=pipelines,
            name=name,
            output=output,
            folder=folder,
            program=program,
            user=user,
            image=image,
            requirement=requirement,
            variables=variables,
            shards=dict(_shards(shards)),
        )
        deployment = plan_deployment(needed_project(project_path, environment), platform, choices)
        for warning in deployment.warnings:
            click.echo(f"warning: {warning}", err=True)
        return _checked(deployment) if check else _written(deployment)

    sys.exit(boundary("singerkit", work))


def _checked(deployment: Deployment) -> int:
    drift = list(deployment.drift())
    for line in drift:
        click.echo(line, err=True)
    click.echo("run the command without --check to write them" if drift else "up to date", err=True)
    if drift:
        click.echo(f"  help: {page('how-to/deploy', 'keep-the-files-up-to-date')}", err=True)
    return int(bool(drift))


def _written(deployment: Deployment) -> int:
    lines = [f"wrote {path}" for path in deployment.write()]
    write_stdout("\n".join([*lines, "", deployment.notes.strip()]))
    return 0


def _shards(said: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for text in said:
        name, _, count = text.rpartition("=")
        if not name or not count.isdecimal() or int(count) < 1:
            raise ConfigurationError(f"--shards wants PIPELINE=COUNT, as in orders=4, not '{text}'")
        yield name, int(count)
