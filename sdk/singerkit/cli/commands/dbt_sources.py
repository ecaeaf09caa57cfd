"""`singerkit dbt-sources`: what a pipeline loads, for dbt."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.workplace import needed_project
from singerkit.errors import MissingExtraError
from singerkit.runner.catalogs import catalog_of
from singerkit.runner.dbt import sources

_HELP = """Write a sources.yml of dbt for what PIPELINE loads: tables, columns, tests of keys, freshness.

Schema and database are those of the target's config (default_target_schema, database), where it has them.
"""


@click.command("dbt-sources", help=_HELP)
@click.argument("pipeline")
@click.option("--name", help="The source's name; if missing, the pipeline's.")
@click.option("--schema", help="The schema of the tables.")
@click.option("--database", help="The database of the tables.")
@click.option("--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not found above.")
@click.option("--env", "environment", help="The environment of singer.toml to use.")
def dbt_sources(
    pipeline: str,
    name: str | None,
    schema: str | None,
    database: str | None,
    project_path: Path | None,
    environment: str | None,
) -> None:
    """Write YAML to stdout."""

    def work() -> None:
        project = needed_project(project_path, environment)
        job = project.job(pipeline)
        config = job.target.config or {}
        document = sources(
            catalog_of(job, project.folder / ".singerkit"),
            name=name or pipeline,
            schema=schema or config.get("default_target_schema"),
            database=database or config.get("database"),
            has_metadata=bool(config.get("add_record_metadata")),
            stale_after_s=job.stale_after_s,
        )
        write_stdout(_yaml(document).rstrip("\n"))

    sys.exit(boundary("singerkit", work))


def _yaml(document: object) -> str:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("YAML is written with PyYAML: pip install 'singerkit[yaml]'") from None
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text
