"""What `singerkit deploy` writes, run by the real Airflow and Dagster, and judged by the schemas of Kubernetes.

Each is installed into an environment of its own below ``.deploy``, which takes minutes: ``make test-deploy``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from singerkit.runner.deploy import Choices, plan_deployment
from singerkit.runner.project import load_project
from singerkit.runner.store.open import open_store

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif("SINGERKIT_DEPLOY" not in os.environ, reason="installs Airflow and Dagster: make test-deploy"),
]
ROOT = Path(__file__).parents[2]
PROJECT = """
[taps.tap-csv]
config.files = [{ path = "data.csv", entity = "things", keys = ["id"] }]

[taps.broken]
command = "tap-csv"
config.files = [{ path = "missing.csv", entity = "things", keys = ["id"] }]

[targets.target-jsonl]
config.destination_path = "out"

[pipelines.things]
tap = "tap-csv"
target = "target-jsonl"
schedule = "*/15 * * * *"
timeout = "5m"

[taps.slow]
command = "./slow"

[pipelines.slow]
tap = "slow"
target = "target-jsonl"

[pipelines.broken]
tap = "broken"
target = "target-jsonl"
"""
SLOW = """#!/bin/sh
echo '{"type": "SCHEMA", "stream": "things", "key_properties": ["id"], "schema": {"properties": {"id": {}}}}'
echo '{"type": "RECORD", "stream": "things", "record": {"id": 1}}'
echo '{"type": "STATE", "value": {"bookmarks": {"things": {"n": 1}}}}'
touch started
exec sleep 600
"""
AIRFLOW = """
import sys
from airflow.models import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print(sorted(bag.dags))
dag = bag.dags["singerkit_shop_" + sys.argv[2]]
run = dag.test()
print("STATE", run.state, *(task.state for task in run.get_task_instances()))
"""
DAGSTER = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
import dagster as dg
spec = spec_from_file_location("definitions", sys.argv[1])
module = module_from_spec(spec)
spec.loader.exec_module(module)
repository = module.defs.get_repository_def()
print("SCHEDULES", sorted((each.name, each.cron_schedule) for each in repository.schedule_defs))
done = repository.get_job("singerkit_shop_" + sys.argv[2]).execute_in_process(raise_on_error=False)
print("STATE", done.success, len(done.get_asset_materialization_events()))
"""
KUBERNETES = """
import sys
import kubernetes_validate as schemas
import yaml
for path in sys.argv[1:]:
    print("VALID", schemas.validate(yaml.safe_load(open(path)), schemas.latest_version(), strict=True))
"""


def environment_with(name, *packages):
    """The Python of an environment that has packages; it is made once, and kept."""
    folder = ROOT / ".deploy" / name
    python = folder / "bin/python"
    if not (folder / "installed").is_file():
        tool = [str(Path(sys.executable).with_name("uv"))]
        subprocess.run([*tool, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([*tool, "pip", "install", "--quiet", "--python", python, *packages], check=True)
        (folder / "installed").touch()
    return str(python)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "singer.toml").write_text(PROJECT)
    (folder / "data.csv").write_text("id\n1\n2\n")
    (folder / "slow").write_text(SLOW)
    (folder / "slow").chmod(0o755)
    return folder


def written(project, platform, **choices):
    deployment = plan_deployment(load_project(project / "singer.toml"), platform, Choices(**choices))
    return [str(path) for path in deployment.write()]


def call(python, code, *words, **environment):
    command = [python, "-c", code, *words]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=550)
    return done.returncode, done.stdout, done.stdout[-6000:] + done.stderr[-6000:]


def loaded(project):
    texts = [path.read_text() for path in (project / "out").rglob("*.jsonl")]
    return sorted(json.loads(line)["id"] for text in texts for line in text.splitlines())


@pytest.fixture
def held_lease(project):
    (project / ".singerkit").mkdir()
    store = open_store(f"sqlite:///{project / '.singerkit/state.db'}")
    lease = store.acquire("things", "another run", 3600)
    yield lease
    store.release(lease)
    store.close()


def airflow_settings(home, dags=""):
    """Variables for an Airflow that has its database in a folder, and its DAGs in another."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags or home),
    }


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """An empty database of Airflow."""
    python = environment_with("airflow", "apache-airflow>=3,<4")
    home = tmp_path_factory.mktemp("migrated")
    command = [str(Path(python).with_name("airflow")), "db", "migrate"]
    environment = {**os.environ, **airflow_settings(home)}
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=550)
    return home / "airflow.db"


@pytest.fixture
def airflow(tmp_path, migrated):
    """Runs the DAG of a pipeline; gives exit code, stdout, and all output."""
    python = environment_with("airflow", "apache-airflow>=3,<4")
    home = tmp_path / "airflow"
    home.mkdir()
    shutil.copy(migrated, home)

    def test(file, pipeline):
        folder = str(Path(file).parent)
        return call(python, AIRFLOW, folder, pipeline, **airflow_settings(home, folder))

    return test


class TestAirflow:
    def test_the_dag_runs(self, airflow, project):
        (file,) = written(project, "airflow")
        code, output, everything = airflow(file, "things")
        assert code == 0, everything
        assert (
            "['singerkit_shop_broken', 'singerkit_shop_slow', 'singerkit_shop_status', 'singerkit_shop_things']"
            in output
        )
        assert "STATE success success" in output, everything
        assert len(loaded(project)) == 2
        assert "STATE failed failed" in airflow(file, "broken")[1]

    def test_a_run_that_finds_another_at_work_is_skipped(self, airflow, project, held_lease):
        (file,) = written(project, "airflow")
        code, output, everything = airflow(file, "things")
        assert code == 0, everything
        assert output.splitlines()[-1].endswith(" skipped"), everything
        assert loaded(project) == []


class TestDagster:
    @pytest.fixture
    def dagster(self, tmp_path):
        python = environment_with("dagster", "dagster>=1.10")
        home = tmp_path / "dagster"
        home.mkdir()
        return lambda file, pipeline: call(python, DAGSTER, file, pipeline, DAGSTER_HOME=str(home))

    def test_the_job_runs(self, dagster, project):
        (file,) = written(project, "dagster")
        code, output, everything = dagster(file, "things")
        assert code == 0, everything
        assert "*/15 * * * *" in output
        assert "STATE True 1" in output, everything
        assert len(loaded(project)) == 2
        assert "STATE False 0" in dagster(file, "broken")[1]

    def test_a_run_that_finds_another_at_work_materializes_nothing(self, dagster, project, held_lease):
        (file,) = written(project, "dagster")
        code, output, everything = dagster(file, "things")
        assert code == 0, everything
        assert "STATE True 0" in output, everything
        assert loaded(project) == []

    def test_a_run_that_is_stopped_stores_what_it_has(self, project):
        (file,) = written(project, "dagster")
        command = [environment_with("dagster", "dagster>=1.10"), "-c", DAGSTER, file, "slow"]
        environment = {**os.environ, "DAGSTER_HOME": str(project)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            while not (project / "started").exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=300)
        store = open_store(f"sqlite:///{project / '.singerkit/state.db'}")
        (record,) = store.runs("slow", limit=5)
        state = store.get("slow")
        store.close()
        assert record.status == "cancelled", output
        assert loaded(project) == [1]
        assert state is not None
        assert state.state == {"bookmarks": {"things": {"n": 1}}}


@pytest.mark.parametrize("shards", [{}, {"things": 4}])
def test_the_cron_jobs_fit_the_schema_of_kubernetes(project, shards):
    python = environment_with("kubernetes", "kubernetes-validate>=1.30")
    files = written(project, "kubernetes", shards=shards)
    code, output, everything = call(python, KUBERNETES, *files)
    assert code == 0, everything
    assert output.count("VALID") == len(files) == 4
