"""Files for schedulers: they say what singer.toml says, fit the platforms' schemas, and are checked for drift."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import check_jsonschema
import pytest
import yaml
from croniter import croniter
from dockerfile_parse import DockerfileParser
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validators

from singerkit import __version__
from singerkit.errors import ConfigurationError
from singerkit.runner.deploy import PLATFORMS, Choices, plan_deployment
from singerkit.runner.deploy.schedules import five_fields, on_calendar
from singerkit.runner.project import load_project

PROJECT = """
[state]
url = "postgresql://singer:${STATE_PASSWORD}@db/states"

[taps.tap-csv]
config = { files = [], note = "${SHOP_NOTE:-none}", pin = "${file:pin.txt}" }
resources = { shop-api = 1 }

[taps.gh]
package = "git+https://${GITHUB_TOKEN}@example.com/tap-gh"

[targets.target-jsonl]

[pipelines.orders]
tap = "tap-csv"
target = "target-jsonl"
schedule = "*/15 6 * * 1-5"
timeout = "1h"
drain = "5m"
grace = "2m"
retries = 2
retry_wait = 10

[pipelines.customers]
tap = "gh"
target = "target-jsonl"

[env.prod.pipelines.orders]
schedule = "@daily"
"""
SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "singer.toml").write_text(PROJECT)
    return folder


def deployment_of(place, platform, environment=None, **choices):
    return plan_deployment(load_project(place / "singer.toml", environment), platform, Choices(**choices))


def files_of(place, platform, environment=None, **choices):
    return deployment_of(place, platform, environment, **choices).files


def call(folder, *words):
    command = [sys.executable, "-m", "singerkit", "deploy", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def check(schema, document):
    rules = json.loads((SCHEMAS / f"{schema}.json").read_text())
    # `format` is an annotation; the anchors of compose files are merged by the loader.
    found = validators.validator_for(rules)(rules).iter_errors(document)
    assert [error.message for error in found] == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_file_says_who_wrote_it_and_runs_both_pipelines(project, platform):
    deployment = deployment_of(project, platform)
    text = "\n".join(deployment.files.values())
    assert all(deployment.banner in file for file in deployment.files.values())
    assert "orders" in text
    assert "customers" in text
    assert "status" in text
    for variable in ("STATE_PASSWORD", "GITHUB_TOKEN", "SHOP_NOTE", "pin.txt"):
        assert variable in deployment.notes
    assert "[[" not in text
    assert "[%" not in text


def test_the_workflows_fit_the_schema_of_github(project):
    files = files_of(project, "github-actions", shards={"orders": 3})
    for text in files.values():
        check("github-workflows", yaml.safe_load(text.replace("\non:\n", '\n"on":\n')))
    orders = yaml.safe_load(files[".github/workflows/singerkit-shop-orders.yml"])
    job = orders["jobs"]["run"]
    assert orders[True]["schedule"] == [{"cron": "*/15 6 * * 1-5"}]  # YAML reads `on` as true
    assert orders["concurrency"]["cancel-in-progress"] is False
    assert job["strategy"]["matrix"] == {"shard": [0, 1, 2]}
    assert job["env"]["STATE_PASSWORD"] == "${{ secrets.STATE_PASSWORD }}"
    assert "GITHUB_TOKEN" not in job["env"], "this pipeline does not need it"
    assert job["steps"][-1]["run"] == "singerkit run orders --shard ${{ matrix.shard }}/3"
    attempts_s = 3 * (3600 + 300 + 120) + 10 + 20
    assert attempts_s < job["timeout-minutes"] * 60 < attempts_s + 900
    customers = yaml.safe_load(files[".github/workflows/singerkit-shop-customers.yml"])
    assert "schedule" not in customers[True]
    assert customers["jobs"]["run"]["env"]["GITHUB_TOKEN"] == "${{ secrets.SINGERKIT_GITHUB_TOKEN }}"
    assert {"run": "singerkit install gh"} in customers["jobs"]["run"]["steps"]


def test_it_installs_what_its_connectors_and_its_store_need(project):
    text = PROJECT.replace(
        "[targets.target-jsonl]", '[targets.target-jsonl]\ncommand = "target-duckdb --log-level info"'
    )
    (project / "singer.toml").write_text(text)
    workflow = files_of(project, "github-actions")[".github/workflows/singerkit-shop-orders.yml"]
    assert f"'singerkit[duckdb,postgres,schedule]=={__version__}'" in workflow
    other = files_of(project, "github-actions", requirement="singerkit @ git+https://example.com/kit")
    assert "'singerkit @ git+https://example.com/kit'" in other[".github/workflows/singerkit-shop-orders.yml"]


def test_a_project_in_a_repository_works_in_its_own_folder(project):
    (project.parent / ".git").mkdir()
    deployment = deployment_of(project, "github-actions")
    assert deployment.folder == project.parent
    job = yaml.safe_load(deployment.files[".github/workflows/singerkit-shop-orders.yml"])["jobs"]["run"]
    assert job["defaults"]["run"]["working-directory"] == "shop"


def test_the_jobs_fit_the_schema_of_gitlab(project):
    (text,) = files_of(project, "gitlab-ci", shards={"orders": 3}).values()
    jobs = yaml.safe_load(text)
    check("gitlab-ci", jobs)
    orders = jobs["singerkit run shop-orders"]
    assert orders["script"][-1] == 'singerkit run orders --shard "$((CI_NODE_INDEX - 1))/$CI_NODE_TOTAL"'
    assert orders["allow_failure"] == {"exit_codes": 75}
    done = subprocess.run(
        ["sh", "-c", orders["script"][-1].replace("singerkit", "echo", 1)],
        env={"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "run orders --shard 0/3\n"


def test_the_services_fit_the_schema_of_compose(project):
    files = files_of(project, "docker")
    document = yaml.safe_load(files["compose.yaml"])
    check("compose-spec", document)
    orders = document["services"]["shop-orders"]
    assert orders["stop_grace_period"] == "130s"
    assert orders["environment"]["SHOP_NOTE"] == "${SHOP_NOTE:-}"
    assert (project / "deploy/docker" / orders["build"]["context"]).resolve() == project
    assert (project / orders["build"]["dockerfile"]).parent == project / "deploy/docker"


def test_the_dockerfile_installs_without_leaving_secrets(project, tmp_path):
    parser = DockerfileParser(str(tmp_path / "Dockerfile"))
    parser.content = files_of(project, "docker")["Dockerfile"]
    steps = [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]
    assert [name for name, _ in steps] == (
        ["FROM", "RUN", "RUN", "USER", "WORKDIR", "COPY", "RUN", "VOLUME", "ENTRYPOINT", "CMD"]
    )
    install = next(value for name, value in steps if "singerkit install" in value)
    assert install.startswith("--mount=type=secret,id=GITHUB_TOKEN,env=GITHUB_TOKEN,required=true singerkit install gh")
    assert json.loads(parser.cmd) == ["status"]


def test_cron_jobs_forbid_a_second_run_and_leave_time_to_drain(project):
    files = files_of(project, "kubernetes", shards={"customers": 4}, image="example.com/shop:7")
    orders = yaml.safe_load(files["singerkit-shop-orders.yaml"])["spec"]
    pod = orders["jobTemplate"]["spec"]["template"]["spec"]
    assert orders["concurrencyPolicy"] == "Forbid"
    assert pod["terminationGracePeriodSeconds"] >= 120
    assert pod["containers"][0]["args"] == ["run", "orders", "--log-format", "json"]
    assert {each["name"] for each in pod["containers"][0]["env"]} == {"SHOP_NOTE", "STATE_PASSWORD"}
    customers = yaml.safe_load(files["singerkit-shop-customers.yaml"])["spec"]
    job = customers["jobTemplate"]["spec"]
    assert customers["suspend"] is True, "it has no schedule"
    assert (job["completionMode"], job["completions"]) == ("Indexed", 4)
    command = job["template"]["spec"]["containers"][0]
    shell = command["args"][0].replace("exec singerkit", "exec echo")
    words = [*command["command"], shell]
    done = subprocess.run(words, env={"JOB_COMPLETION_INDEX": "2"}, capture_output=True, text=True)
    assert done.stdout.endswith("--shard 2/4\n")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_the_units_are_what_systemd_takes(project, tmp_path):
    program = tmp_path / "my programs" / "singer%kit"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = tmp_path / "units"
    deployment = deployment_of(project, "systemd", output=units, program=str(program), user="root")
    written = [str(path) for path in deployment.write()]
    assert "singerkit-shop-customers.timer" not in deployment.files, "it has no schedule"
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:/lib/systemd/system"}
    command = ["systemd-analyze", "verify", "--man=no", *written]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    service = (units / "singerkit-shop-orders.service").read_text()
    assert "\nKillMode=mixed\n" in service
    assert int(re.search(r"TimeoutStopSec=(\d+)", service)[1]) >= 120


DAYS = st.sampled_from(["*", "*/2", "mon-fri", "0,7", "5-7"])
FIELDS = st.tuples(
    st.sampled_from(["0", "*/20", "5,35", "10-12"]),
    st.sampled_from(["*", "6", "*/8", "1-23/5"]),
    st.sampled_from(["*", "1", "*/10", "1,15"]),
    st.sampled_from(["*", "2", "jan-mar"]),
    DAYS,
)


@settings(max_examples=50, deadline=None)
@given(FIELDS)
def test_calendar_events_are_the_times_of_cron(fields):
    schedule = " ".join(fields)
    try:
        fields_written = five_fields(schedule, "schedule")
    except ConfigurationError as error:
        assert "*/" in fields[2] + fields[4], error
        return
    base = datetime(2026, 1, 1, tzinfo=UTC)
    expected = croniter(schedule, base).get_next(datetime)
    assert croniter(fields_written, base).get_next(datetime) == expected
    assert next_event(on_calendar(fields_written, "schedule"), base) == expected


def next_event(events, base):
    """The first moment after another that fits one of the calendar events: lists of numbers and names of days only."""
    moment = base
    for _ in range(400 * 24 * 60):
        moment += timedelta(minutes=1)
        if any(is_at(event, moment) for event in events):
            return moment
        if not any(is_on(event, moment) for event in events):
            moment = moment.replace(hour=23, minute=59)
    raise AssertionError("no such moment")


def parts_of(event):
    *weekday, date, clock, zone = event.split()
    assert zone == "UTC"
    _, month, day = date.split("-")
    hour, minute, second = clock.split(":")
    assert second == "00"
    return weekday, month, day, hour, minute


def fits(field, value):
    return field == "*" or value in map(int, field.split(","))


def is_on(event, moment):
    weekday, month, day, _, _ = parts_of(event)
    named = not weekday or moment.strftime("%a") in weekday[0].split(",")
    return named and fits(month, moment.month) and fits(day, moment.day)


def is_at(event, moment):
    *_, hour, minute = parts_of(event)
    return is_on(event, moment) and fits(hour, moment.hour) and fits(minute, moment.minute)


@pytest.mark.parametrize(
    "schedule", ["@reboot", "0 0 * *", "0 0 L * *", "0 0 * * 1#2", "61 * * * *", "R * * * *", "* *"]
)
def test_what_only_some_can_do_is_refused(schedule):
    with pytest.raises(ConfigurationError, match=r"pipelines\.x\.schedule"):
        five_fields(schedule, "pipelines.x.schedule")


def test_the_line_runs_as_cron_runs_it(tmp_path):
    folder = tmp_path / "it's 100% here"
    folder.mkdir()
    (folder / "data.csv").write_text("id\n1\n2\n")
    (folder / "singer.toml").write_text(
        '[taps.tap-csv]\nconfig.files = [{ path = "data.csv", entity = "things", keys = ["id"] }]\n'
        '[targets.target-jsonl]\nconfig.destination_path = "out"\n'
        '[pipelines.things]\ntap = "tap-csv"\ntarget = "target-jsonl"\nschedule = "@hourly"\n'
    )
    assert call(folder, "cron").returncode == 0
    lines = (folder / "deploy/cron/singerkit.crontab").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]+=", line))
    run, status = (as_cron(line) for line in lines if re.match(r"[0-9*]", line))
    home = {"HOME": str(tmp_path), "LOGNAME": "somebody", **variables}  # crontab(5): nothing else is set
    done = subprocess.run([variables["SHELL"], "-c", run], env=home, cwd="/", capture_output=True, text=True)
    log = folder / ".singerkit/it-s-100-here-things.log"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), log.read_text()
    assert len(list((folder / "out").rglob("*.jsonl"))) == 1
    done = subprocess.run([variables["SHELL"], "-c", status], env=home, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "cron sends a mail of what is printed"


def as_cron(line):
    """The command of a line, as cron gives it to the shell: what follows a bare percent sign is its input."""
    command = line.split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    return command.replace(r"\%", "%")


def test_drift_is_named_and_written_files_are_replaced_or_removed(project):
    done = call(project, "systemd", "--user", "shop")
    assert done.returncode == 0, done.stderr
    assert "STATE_PASSWORD" in done.stdout
    assert list(deployment_of(project, "systemd", user="shop").drift()) == []
    text = (project / "singer.toml").read_text().replace("*/15 6", "*/20 6")
    (project / "singer.toml").write_text(text.replace("pipelines.customers", "pipelines.x"))
    done = call(project, "systemd", "--user", "shop", "--check")
    units = project / "deploy/systemd"
    assert done.returncode == 1
    assert f"{units}/singerkit-shop-orders.timer differs" in done.stderr
    assert f"{units}/singerkit-shop-x.service is missing" in done.stderr
    assert f"{units}/singerkit-shop-customers.service is not needed any more" in done.stderr
    assert (units / "singerkit-shop-customers.service").exists(), "a check changes nothing"
    assert len(list(deployment_of(project, "systemd", user="shop").write())) == 5
    assert not (units / "singerkit-shop-customers.service").exists()
    assert list(deployment_of(project, "systemd", user="shop").drift()) == []


def test_the_command_in_the_files_writes_the_same_again(project):
    chosen = deployment_of(project, "kubernetes", "prod", name="Web Shop", shards={"orders": 2}, variables=("A", "B"))
    words = shlex.split(re.search("`singerkit deploy (.*)`", chosen.banner)[1])
    (project / "deploy").mkdir()
    done = call(project, *words)
    assert done.returncode == 0, done.stderr
    assert list(chosen.drift()) == []
    assert call(project, *words, "--check").returncode == 0


def test_a_file_of_somebody_else_is_left_alone(project):
    mine = project / "deploy/docker/Dockerfile"
    mine.parent.mkdir(parents=True)
    mine.write_text("FROM scratch\n")
    done = call(project, "docker")
    assert done.returncode == 2
    assert "move it, or use --output" in done.stderr
    assert mine.read_text() == "FROM scratch\n"
    assert list(mine.parent.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("words", "said"), [(["nomad"], "airflow"), (["kubernetes", "--shards", "orders"], "PIPELINE=COUNT")]
)
def test_what_can_t_be_is_said(project, words, said):
    done = call(project, *words)
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert not (project / "deploy").exists()


@pytest.mark.parametrize(
    ("platform", "choices", "said"),
    [
        ("cron", {"pipelines": ("order",)}, "did you mean 'orders'"),
        ("cron", {"shards": {"orders": 2}}, "--shards means nothing for cron"),
        ("cron", {"variables": ("A",)}, "--variable means nothing for cron"),
        ("kubernetes", {"shards": {"order": 2}}, "did you mean 'orders'"),
        ("kubernetes", {"name": "a" * 40}, "--name"),
        ("cron", {"environment": "prd"}, "did you mean 'prod'"),
    ],
)
def test_what_does_not_fit_is_said(project, platform, choices, said):
    with pytest.raises(ConfigurationError, match=said):
        files_of(project, platform, **choices)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("url", ["", "sqlite:///x.db", "sqlite:////state/x.db", "${STATE_URL}", "s3://b/p"])
def test_a_state_that_would_be_lost_is_warned_of(project, platform, url):
    (project / "singer.toml").write_text(re.sub(r'url = ".*"', f'url = "{url}"', PROJECT, count=1))
    warnings = deployment_of(project, platform).warnings
    is_file = url in ("", "sqlite:///x.db") or (url == "sqlite:////state/x.db" and platform != "docker")
    assert bool(warnings) == (is_file and not PLATFORMS[platform].keeps_files)


def test_an_environment_has_names_and_schedules_of_its_own(project):
    files = files_of(project, "kubernetes", "prod")
    job = yaml.safe_load(files["singerkit-shop-prod-orders.yaml"])
    assert job["metadata"]["name"] == "singerkit-shop-prod-orders"
    assert job["spec"]["schedule"] == "0 0 * * *"
    args = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[:4] == ["run", "orders", "--env", "prod"]


@pytest.mark.parametrize(("one", "other"), [("a_b", "a-b"), ("status", "x")])
def test_names_that_become_the_same_are_refused(project, one, other):
    text = PROJECT.replace("pipelines.orders]", f"pipelines.{one}]").replace(
        "pipelines.customers]", f"pipelines.{other}]"
    )
    (project / "singer.toml").write_text(text.split("[env")[0])
    with pytest.raises(ConfigurationError, match="both be called"):
        files_of(project, "cron")


@pytest.mark.parametrize("platform", ["airflow", "dagster"])
def test_the_python_compiles(project, platform):
    (text,) = files_of(project, platform, folder='/srv/"quoted" \\ ü').values()
    assert compile(text, platform, "exec")
