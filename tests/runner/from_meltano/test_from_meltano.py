"""`singerkit init --from meltano.yml`: what it writes is loaded, and judged by the jobs that it gives."""

import json
import subprocess
import sys
import tomllib

import pytest

from singerkit.runner.project import load_project

PROJECT = """\
version: 1
default_environment: dev
send_anonymous_usage_stats: false
include_paths: [extra.yml]
env:
  REGION: eu
environments:
- name: dev
- name: prod
  config:
    plugins:
      extractors:
      - name: tap-shop
        config: {start_date: 2020-01-01, auth.user: prod}
        select: [orders.*]
      loaders:
      - name: target-lake
        config: {password: hunter2-canary}
      - name: target-gone
  state_id_suffix: x
plugins:
  extractors:
  - name: tap-shop
    variant: someone
    pip_url: tap-shop==1.2
    capabilities: [properties, discover]
    settings:
    - {name: page_size, kind: integer}
    - {name: api.key, kind: password}
    - {name: verify, kind: boolean, value: true}
    - {name: pin, env: SHOP_PIN}
    config:
      start_date: 2024-01-01
      auth.user: me
      api.key: literal-canary
      url: https://$REGION.example.com/${PATH_PART}
      price: "5 \\\\$EUR ${not a reference"
      page_size: $PAGES
      nothing: null
      _load_schema: raw_shop
    env: {DEBUG: true}
    select: [orders.*, '!orders.note', '*.*.id']
    metadata:
      orders: {replication-method: INCREMENTAL, buyer.mail: {x: 1}}
    schema:
      orders: {total: {type: [number, 'null']}}
    commands: {test: --test}
  - name: tap-shop--small
    inherit_from: tap-shop
    config: {start_date: 2025-01-01}
    select_filter: [orders]
  loaders:
  - name: target-lake
    variant: someone
  mappers:
  - name: map-it
    pip_url: -e ./map-it
    executable: mapper
    mappings:
    - name: hide
      config: {stream_maps: {orders: {note: null, total: total}}}
  utilities:
  - name: dbt-postgres
    pip_url: dbt-core dbt-postgres
    commands: {fresh: {args: source freshness, executable: dbt}}
jobs:
- name: both
  tasks:
  - airflow:x tap-shop hide target-lake dbt-postgres:build dbt-postgres:fresh
  - [tap-shop--small target-lake]
- name: lone
  tasks: [tap-shop--small target-lake]
schedules:
- {name: hourly, job: lone, interval: 0 * * * *}
- {name: elt, extractor: tap-shop, loader: target-lake, transform: run, interval: '@once', start_date: 2020-01-01}
- {name: lost, extractor: tap-gone, loader: target-lake, interval: '@daily'}
"""
LAKE = {
    "name": "target-lake",
    "pip_url": "target-lake other>=1",
    "executable": "target-lake-x",
    "settings": [
        {"name": "port", "kind": "integer", "value": 5432},
        {"name": "password", "sensitive": True},
        {"name": "default_target_schema", "value": "$MELTANO_EXTRACT__LOAD_SCHEMA"},
    ],
}
EXTRA = "plugins:\n  extractors:\n  - name: tap-csv\n    config: {files: []}\n"


def singerkit(folder, *words):
    command = [sys.executable, "-m", "singerkit", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


@pytest.fixture(scope="module")
def meltano(tmp_path_factory):
    """Give the folder of a Meltano project."""
    tmp_path = tmp_path_factory.mktemp("meltano")
    (tmp_path / "meltano.yml").write_text(PROJECT)
    (tmp_path / "extra.yml").write_text(EXTRA)
    (tmp_path / "plugins/loaders").mkdir(parents=True)
    (tmp_path / "plugins/loaders/target-lake--someone.lock").write_text(json.dumps(LAKE))
    (tmp_path / ".env").write_text("SHOP_PIN=1\nTARGET_LAKE_PASSWORD=x\nTAP_CSV_INFER_TYPES=true\n")
    return tmp_path


@pytest.fixture(scope="module")
def converted(meltano):
    """Give the folder with the singer.toml, and what was told about it."""
    done = singerkit(meltano, "init", "--from", "meltano.yml")
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout + (meltano / "singer.toml").read_text()
    return meltano, done.stdout


def test_taps_keep_their_settings_rules_and_packages(converted):
    folder, _ = converted
    document = tomllib.loads((folder / "singer.toml").read_text())
    assert document["taps"]["tap-shop"] == {
        "package": "tap-shop==1.2",
        "environment": {"DEBUG": "true"},
        "select": ["orders.*", "!orders.note", "*.*.id"],
        "metadata": {"orders": {"replication-method": "INCREMENTAL", "buyer": {"mail": {"x": 1}}}},
        "schema": {"orders": {"total": {"type": ["number", "null"]}}},
        "catalog_option": "--properties",
        "config": {
            "start_date": "2024-01-01",
            "auth": {"user": "me"},
            "api": {"key": "${TAP_SHOP_API_KEY}"},
            "url": "https://${REGION:-eu}.example.com/${PATH_PART}",
            "price": "5 $EUR $${not a reference",
            "page_size": "${PAGES:integer}",
            "verify": True,
            "pin": "${SHOP_PIN}",
        },
    }
    assert document["taps"]["tap-shop--small"] == {
        "inherits": "tap-shop",
        "command": "tap-shop",
        "config": {"start_date": "2025-01-01"},
    }
    assert document["taps"]["tap-csv"] == {
        "select": ["*.*"],
        "config": {"files": [], "infer_types": "${TAP_CSV_INFER_TYPES}"},
    }


def test_targets_and_mappers_are_taken_from_definitions_too(converted):
    folder, _ = converted
    document = tomllib.loads((folder / "singer.toml").read_text())
    assert document["targets"]["target-lake"] == {
        "package": ["target-lake", "other>=1"],
        "command": "target-lake-x",
        "config": {"port": 5432, "password": "${TARGET_LAKE_PASSWORD}"},
    }
    assert document["mappers"]["hide"] == {
        "package": "-e ./map-it",
        "command": "mapper",
        "config": {"stream_maps": {"orders": {"note": "__NULL__", "total": "total"}}},
    }


def test_jobs_and_schedules_become_pipelines(converted):
    folder, _ = converted
    small = {
        "tap": "tap-shop--small",
        "target": "target-lake",
        "state_key": "tap-shop--small-to-target-lake",
        "streams": ["orders"],
        "target_config": {"default_target_schema": "tap_shop"},
    }
    assert tomllib.loads((folder / "singer.toml").read_text())["pipelines"] == {
        "both-1": {
            "tap": "tap-shop",
            "target": "target-lake",
            "mappers": ["hide"],
            "state_key": "tap-shop-to-target-lake",
            "after": ["dbt build", "dbt source freshness"],
            "target_config": {"default_target_schema": "raw_shop"},
        },
        "both-2": small,
        "lone": {**small, "schedule": "0 * * * *"},
        "elt": {"tap": "tap-shop", "target": "target-lake", "target_config": {"default_target_schema": "raw_shop"}},
    }


def test_environments_override(converted, monkeypatch):
    folder, _ = converted
    for name in ("TAP_SHOP_API_KEY", "PATH_PART", "TARGET_LAKE_PASSWORD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PAGES", "10")
    project = load_project(folder / "singer.toml", "prod")
    assert project.state_key("both-1") == "prod:tap-shop-to-target-lake", "as Meltano called it"
    assert project.settings.taps["tap-shop"].select == ["orders.*"]
    assert project.settings.taps["tap-shop"].config["auth"] == {"user": "prod"}
    assert project.settings.taps["tap-shop--small"].config["page_size"] == "${PAGES:integer}"
    assert load_project(folder / "singer.toml", "dev").pipelines == ["both-1", "both-2", "lone", "elt"]


SECRET = "a secret: set {} in .env or the environment"
LEFT_OUT = [
    "meltano.yml:2: default_environment: say --env dev, or set SINGERKIT_ENV=dev",
    f"meltano.yml:18: target-lake.config.password: {SECRET.format('TARGET_LAKE_PASSWORD')}",
    "meltano.yml:19: environment prod: target-gone: no connector of this name is in the project",
    "meltano.yml:20: environment prod.state_id_suffix: name the states yourself, with `state_key`",
    f"meltano.yml:35: tap-shop.config.api.key: {SECRET.format('TAP_SHOP_API_KEY')}",
    "meltano.yml:42: tap-shop.select '*.*.id': a wildcard above another name takes only what leads to it; "
    "Meltano takes all beside it too",
    "meltano.yml:47: tap-shop.commands: singerkit runs taps and targets only",
    "meltano.yml:63: utilities: dbt-postgres: not installed by singerkit; its commands in jobs became `after` steps",
    "meltano.yml:68: job both: 'airflow:x': nothing of this name is known",
    "meltano.yml:68: job both: runs one after the other as: singerkit run both-1 both-2",
    "meltano.yml:75: schedule elt: '@once' is no time",
    "meltano.yml:75: schedule elt.start_date: a pipeline has no place for it",
    "meltano.yml:75: schedule elt.transform: a pipeline has no place for it",
    "meltano.yml:76: schedule lost: its tap or target is not in the project",
    "extra.yml:3: tap-csv: no pip_url is known, so the program 'tap-csv' is looked for on PATH",
    "extra.yml:3: tap-csv.config.infer_types: made of the variable TAP_CSV_INFER_TYPES: check the setting's name "
    "and type",
]


def test_what_is_left_out_is_said_line_by_line(converted):
    _, told = converted
    first, head, *lines = told.splitlines()
    assert first == "Wrote singer.toml; pipelines: both-1, both-2, lone, elt."
    assert head == "Left out, or in need of a hand:"
    assert [line.strip() for line in lines] == LEFT_OUT


def test_without_jobs_each_tap_gets_a_pipeline_to_the_only_target(tmp_path):
    plugins = "plugins:\n  extractors: [{name: tap-csv}, {name: tap-sql}]\n  loaders: [{name: target-jsonl}]\n"
    (tmp_path / "meltano.yml").write_text(plugins)
    assert singerkit(tmp_path, "init", "--from", "meltano.yml").returncode == 0
    project = load_project(tmp_path / "singer.toml")
    assert project.pipelines == ["tap-csv-to-target-jsonl", "tap-sql-to-target-jsonl"]
    assert project.job("tap-csv-to-target-jsonl").target.argv[-1] == "target-jsonl"
    (tmp_path / "meltano.yml").write_text(plugins.replace("]\n  loaders: [", "]\n  loaders: [{name: target-csv}, "))
    done = singerkit(tmp_path, "init", "--from", "meltano.yml", "--force")
    assert "no job and no schedule joins them: write [pipelines.NAME]" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "meltano.yml is not valid YAML at line 1"),
        ("plugins: {extractors: [{name: a, select: x}]}", "plugins.extractors[0].select: has to be array or null"),
        ("- a", "meltano.yml is no Meltano project: it has to hold a mapping"),
        (None, "meltano.yml can't be read: No such file or directory"),
    ],
)
def test_what_is_no_project_is_an_error_and_nothing_is_written(tmp_path, text, message):
    if text is not None:
        (tmp_path / "meltano.yml").write_text(text)
    done = singerkit(tmp_path, "init", "--from", "meltano.yml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "singer.toml").exists()


SECRETS = """\
env: {API_TOKEN: env-canary, PLAIN: shown}
plugins:
  extractors:
  - name: tap-a
    pip_url: git+https://user:git-canary@example.com/tap-a.git other @ git+https://t-canary@example.com/o.git
    env: {SOME_PASSWORD: var-canary}
    config:
      database: postgresql://me:url-canary@host/db
      auth: {token: nested-canary, user: me}
      accounts: [{name: a, password: list-canary}]
      header: $API_TOKEN $PLAIN
      use_token: true
  loaders: [{name: target-jsonl}]
"""


def test_no_secret_gets_into_the_new_file(tmp_path):
    (tmp_path / "meltano.yml").write_text(SECRETS)
    done = singerkit(tmp_path, "init", "--from", "meltano.yml")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "singer.toml").read_text()
    assert "canary" not in text + done.stdout
    tap = tomllib.loads(text)["taps"]["tap-a"]
    assert tap["package"] == [
        "git+https://${TAP_A_PACKAGE}@example.com/tap-a.git",
        "other @ git+https://${TAP_A_PACKAGE_1}@example.com/o.git",
    ]
    assert tap["environment"] == {"SOME_PASSWORD": "${SOME_PASSWORD}"}
    assert tap["config"] == {
        "database": "${TAP_A_DATABASE}",
        "auth": {"token": "${TAP_A_AUTH_TOKEN}", "user": "me"},
        "accounts": [{"name": "a", "password": "${TAP_A_ACCOUNTS_0_PASSWORD}"}],
        "header": "${API_TOKEN} ${PLAIN:-shown}",
        "use_token": True,
    }
    assert "meltano.yml:9: tap-a.config.auth.token: a secret: set TAP_A_AUTH_TOKEN" in done.stdout
