"""What a singer.toml says, as jobs; and what is wrong with one, with its line."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from singerkit.errors import ConfigurationError
from singerkit.runner.project import find_project, load_project

EXAMPLE = """\
[state]
url = "postgresql://singer:${STATE_PASSWORD}@db/states"

[taps.shop]
command = "tap-shop --log-level 'de bug'"
select = ["orders.*", "!orders.note"]
metadata.orders = { replication-method = "INCREMENTAL" }
environment = { SHOP_REGION = "eu", SHOP_PIN = "${file:pin.txt}" }

[taps.shop.config]
api_url = "https://shop.example.com"
api_key = "${SHOP_KEY}"
start = 2024-01-01
limits = [{ rows = 10, until = 2024-02-01T00:00:00Z }]

[targets.warehouse]
command = ["target-jsonl", "--log-level", "info"]
config.destination_path = "out"

[mappers.mask]
command = "mapper-mask"

[pipelines.orders]
tap = "shop"
target = "warehouse"
mappers = ["mask"]
schedule = "0 * * * *"
timeout = "1h30m"
idle_timeout = 90
grace = "0.5m"
retries = 3
after = ["dbt build"]
stale_after = "1d"
full_refresh = ["customers"]
select = ["customers.*"]
tap_config.page_size = 50
labels = { team = "sales" }

[notify.pager]
url = "https://hooks.example.com/${HOOK}"
headers.Authorization = "Bearer ${HOOK}"

[notify.log]
on = ["success"]
command = "logger -t singer"
pipelines = ["ord*"]

[env.prod]
inherits = "base"
taps.shop.config.api_url = "https://prod.example.com"

[env.base.taps.shop]
config = { api_url = "https://base.example.com", page_size = 10 }
[env.base.pipelines.orders]
tap_config = { page_size = 500 }
select = []
"""
PIPELINE = '[taps.tap-csv]\n[targets.target-jsonl]\n[pipelines.p]\ntap = "tap-csv"\ntarget = "target-jsonl"\n'
VARIABLES = {"SHOP_KEY": "s3cret-key", "HOOK": "h00k", "STATE_PASSWORD": "pa55"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a function that writes a singer.toml into a folder with two programs on PATH, and loads it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("tap-shop", "mapper-mask"):
        program = programs / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("SINGERKIT_ENV", raising=False)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "pin.txt").write_text("12345\n")

    def load(text=EXAMPLE, environment=None):
        (tmp_path / "singer.toml").write_text(text, encoding="utf-8")
        return load_project(tmp_path / "singer.toml", environment)

    return load


def test_a_pipeline_is_a_job(project, tmp_path):
    job = project().job("orders")
    assert job.tap.argv == (str(tmp_path / "programs/tap-shop"), "--log-level", "de bug")
    assert job.tap.config == {
        "api_url": "https://shop.example.com",
        "api_key": "s3cret-key",
        "start": "2024-01-01",
        "limits": [{"rows": 10, "until": "2024-02-01T00:00:00Z"}],
        "page_size": 50,
    }
    assert job.tap.environment == {"SHOP_REGION": "eu", "SHOP_PIN": "12345"}
    assert job.tap.secrets == {"s3cret-key", "12345"}
    assert job.target.config == {"destination_path": "out"}
    assert job.target.argv[-3:] == ("target-jsonl", "--log-level", "info")
    assert job.target.secrets == frozenset()
    assert [mapper.name for mapper in job.mappers] == ["mask"]
    assert job.mappers[0].config is None
    limits = job.limits
    assert (limits.timeout_s, limits.idle_timeout_s, limits.grace_s, limits.retries) == (5400, 90, 30, 3)
    assert (job.state_key, job.schedule, job.stale_after_s, job.after) == ("orders", "0 * * * *", 86400, ("dbt build",))
    assert (job.full_refresh, job.labels) == ({"customers"}, {"team": "sales"})
    assert {job.folder, job.tap.folder, job.target.folder} == {tmp_path}
    assert job.withheld == {"SHOP_KEY", "HOOK", "STATE_PASSWORD"}
    streams = [{"tap_stream_id": name, "schema": {}} for name in ("orders", "customers", "other")]
    changed = job.catalog_rules({"streams": streams})["streams"]
    assert [stream["selected"] for stream in changed] == [True, True, False]
    assert changed[0]["replication_method"] == "INCREMENTAL"


def test_state_and_notifications_are_filled_in(project):
    loaded = project()
    assert loaded.state_url == "postgresql://singer:pa55@db/states"
    assert loaded.state_secrets == {"pa55"}
    pager, log = loaded.notifications
    assert (pager.on, pager.url) == ({"failure", "recovery"}, "https://hooks.example.com/h00k")
    assert (pager.headers, pager.secrets) == ({"Authorization": "Bearer h00k"}, {"h00k"})
    assert (log.on, log.command) == ({"success"}, ("logger", "-t", "singer"))
    assert [log.concerns(name) for name in ("orders", "other")] == [True, False]
    assert pager.concerns("other")


@pytest.mark.parametrize("by_variable", [True, False])
def test_an_environment_overrides(project, monkeypatch, by_variable):
    if by_variable:
        monkeypatch.setenv("SINGERKIT_ENV", "prod")
    job = project(environment=None if by_variable else "prod").job("orders")
    assert job.tap.config["api_url"] == "https://prod.example.com"
    assert job.tap.config["page_size"] == 500
    assert job.tap.config["api_key"] == "s3cret-key"
    assert (job.state_key, job.labels["environment"]) == ("prod:orders", "prod")


def test_the_state_is_beside_the_file_unless_it_says_otherwise(project, tmp_path):
    assert project("").state_url == f"sqlite:///{tmp_path}/.singerkit/state.db"
    assert project('state.url = "sqlite:///a/b.db"').state_url == f"sqlite:///{tmp_path}/a/b.db"
    assert project('state.url = "sqlite:////a/b.db"').state_url == "sqlite:////a/b.db"
    assert project('state.url = "s3://bucket/prefix"').state_url == "s3://bucket/prefix"


def test_a_project_is_found_from_a_folder_below_it(tmp_path):
    assert find_project(tmp_path) is None
    (tmp_path / "singer.toml").touch()
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    assert find_project(below) == tmp_path / "singer.toml"


def test_a_pipeline_needs_only_its_own_variables(project):
    text = '[taps.tap-csv]\n[targets.target-jsonl]\n[pipelines.p]\ntap = "tap-csv"\ntarget = "target-jsonl"\n'
    other = '[taps.x.config]\nkey = "${NOT_SET}"\n[state]\nurl = "${NOT_SET}"\n'
    assert project(text + other).job("p").tap.config is None


def test_variables_of_the_shell_are_not_withheld(project):
    assert project(f"{PIPELINE}after = ['dbt --key ${{DBT_KEY}}']\n").job("p").withheld == frozenset()


def test_connectors_inherit(project):
    loaded = project(
        '[taps.a]\ncommand = "tap-csv"\nconfig = { x = 1, y = { z = 2 } }\n'
        '[taps.b]\ninherits = "a"\nconfig.y.w = 3\n[taps.c]\ninherits = "b"\nconfig.x = 4\n'
    )
    assert loaded.program("taps", "c").config == {"x": 4, "y": {"z": 2, "w": 3}}
    assert loaded.program("taps", "c").argv[-1] == "tap-csv"


def test_a_config_file_is_read_and_the_inline_config_wins(project, tmp_path):
    (tmp_path / "tap.json").write_text('{"password": "fromfile", "a": {"b": 1, "c": 2}, "text": "${KEPT}"}')
    text = '[taps.tap-csv]\nconfig_file = "tap.json"\n'
    program = project(f"{text}config.a.b = 5").program("taps", "tap-csv")
    assert program.config == {"password": "fromfile", "a": {"b": 5, "c": 2}, "text": "${KEPT}"}
    assert program.secrets == {"fromfile"}


def test_a_config_file_that_is_written_back_is_given_as_it_is(project, tmp_path):
    (tmp_path / "tap.json").write_text('{"refresh_token": "t0ken"}')
    program = project('[taps.tap-csv]\nconfig_file = "tap.json"\nwriteback = true').program("taps", "tap-csv")
    assert program.argv[-2:] == ("--config", str(tmp_path / "tap.json"))
    assert (program.config, program.writes_back, program.secrets) == (None, True, {"t0ken"})


def test_variables_come_from_the_env_file_too_and_the_process_wins(project, tmp_path):
    (tmp_path / ".env").write_text('SHOP_KEY=other\nexport ONLY_HERE="a b"\n# comment\n')
    program = project('[taps.tap-csv.config]\na = "${SHOP_KEY} ${ONLY_HERE}"').program("taps", "tap-csv")
    assert program.config == {"a": "s3cret-key a b"}


def test_a_program_is_looked_for_on_path_beside_python_and_among_those_that_come_with_it(project, tmp_path):
    loaded = project('[taps.tap-csv]\n[taps.mine]\ncommand = "./tap.py -x"\n[taps.with-python]\ncommand = "pytest"')
    assert loaded.program("taps", "tap-csv").argv == (sys.executable, "-P", "-m", "singerkit", "tap-csv")
    script = tmp_path / "tap.py"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(ConfigurationError, match="there is no program at"):
        loaded.program("taps", "mine")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert loaded.program("taps", "mine").argv == (str(script), "-x")
    assert loaded.program("taps", "with-python").argv[0].endswith("pytest")
    on_path = tmp_path / "programs/tap-csv"
    on_path.write_text("#!/bin/sh\n")
    on_path.chmod(0o755)
    assert loaded.program("taps", "tap-csv").argv == (str(on_path),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[taps", "is not valid TOML: expected ']'"),
        ("a = inf", "singer.toml:1: a: JSON has no such number"),
        ("[tap.x]", "singer.toml:1: tap: is not a known setting; did you mean 'taps'?"),
        ("\n[taps.x]\nconfg = {}", "singer.toml:3: taps.x.confg: is not a known setting; did you mean 'config'?"),
        ("taps.x.writeback = 1", "singer.toml:1: taps.x.writeback: has to be boolean"),
        ("[taps.'a/b']", "singer.toml:1: taps.a/b: its name has to match the pattern"),
        (
            f"{PIPELINE}timeout = 'soon'",
            "singer.toml:6: pipelines.p.timeout: has to be a number of seconds, or a duration as 90s",
        ),
        (f"{PIPELINE}timeout = -1", "singer.toml:6: pipelines.p.timeout: has to be at least 0"),
        (f"{PIPELINE}retries = -1", "singer.toml:6: pipelines.p.retries: has to be at least 0"),
        (f"{PIPELINE}[env.x.pipelines.p]\nretires = 1", "singer.toml:7: env.x.pipelines.p.retires: is not a known"),
        (PIPELINE.replace('"tap-csv"', '"tap-cvs"'), "singer.toml:4: pipelines.p.tap: there is no tap 'tap-cvs'; did"),
        (PIPELINE.replace('target = "target-jsonl"', ""), "singer.toml:3: pipelines.p.target: is required"),
        (f"{PIPELINE}mappers = ['m']", "singer.toml:6: pipelines.p.mappers: there is no mapper 'm'"),
        ("env.x.taps.a.package = 'b'", "singer.toml:1: env.x.taps.a.package: what is installed is the same in every"),
        ("[notify.x]", "singer.toml:1: notify.x: needs either a `url` or a `command`"),
        ("[notify.x]\non = ['failed']\nurl = 'u'", "singer.toml:2: notify.x.on[0]: has to be one of"),
        ("[taps.a]\ninherits = 'b'", "singer.toml:2: taps.a.inherits: there is no 'b'"),
        (
            "[taps.a]\ninherits = 'b'\n[taps.b]\ninherits = 'a'",
            "singer.toml:4: taps.b.inherits: it would inherit from itself: a -> b -> a",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(project, text, message):
    with pytest.raises(ConfigurationError) as caught:
        project(text)
    assert message in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once(project):
    with pytest.raises(ConfigurationError) as caught:
        project(f"{PIPELINE}retires = 3\nmapers = []\n[taps.x]\ncomand = 'y'\n")
    assert [line.split("singer.toml")[-1] for line in caught.value.errors] == [
        ":6: pipelines.p.retires: is not a known setting; did you mean 'retries'?",
        ":7: pipelines.p.mapers: is not a known setting; did you mean 'mappers'?",
        ":9: taps.x.comand: is not a known setting; did you mean 'command'?",
    ]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("prd", "has no environment 'prd'; did you mean 'prod'?"),
        ("x", "has no environment 'x'; it has: prod, loop, lost, odd"),
        ("loop", "singer.toml:8: env.loop.inherits: it would inherit from itself: loop -> loop"),
        ("lost", "singer.toml:10: env.lost.inherits: there is no 'prodd'; did you mean 'prod'?"),
        ("odd", "singer.toml:12: pipelines.p.tap: there is no tap 'tap-x'"),
    ],
)
def test_environments_are_checked(project, environment, message):
    text = (
        f"{PIPELINE}[env.prod]\n[env.loop]\ninherits = 'loop'\n[env.lost]\ninherits = 'prodd'\n"
        "[env.odd]\npipelines.p.tap = 'tap-x'\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        project(text, environment)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("taps.tap-csv.config.k = '${NONE}'", "1: taps.tap-csv.config.k: the environment variable NONE is not set"),
        ("taps.tap-csv.environment.k = '${NONE}'", "taps.tap-csv.environment.k: the environment variable NONE"),
        ("[taps.tap-csv]\ncommand = 'tap-cvs'", "singer.toml:2: taps.tap-csv: there is no program 'tap-cvs' on PATH"),
        (
            "[targets.target-jsonl]\ncommand = 'target-snowflake'",
            "none comes with singerkit: install it (singer.toml can, by `package`) or write its path",
        ),
        ("[taps.tap-csv]\ncommand = 'x \"y'", "taps.tap-csv.command: no closing quotation"),
        ("[taps.tap-csv]\npackage = 'tap-csv==1'", "it is not installed: run `singerkit install tap-csv`"),
        ("[taps.tap-csv]\nconfig_file = 'x.json'", "taps.tap-csv.config_file: config file '"),
        ("[targets.target-jsonl]\nconfig_file = 'bad.json'", "bad.json' is not valid JSON at line 1"),
    ],
)
def test_what_stops_a_job_is_said(project, tmp_path, text, message):
    (tmp_path / "bad.json").write_text('{"password": "s3cret",}')
    rest = "[pipelines.p]\ntap = 'tap-csv'\ntarget = 'target-jsonl'\n[env.x]\n"
    kinds = "".join(f"[{kind}]\n" for kind in ("taps.tap-csv", "targets.target-jsonl") if kind not in text)
    with pytest.raises(ConfigurationError) as caught:
        project(f"{text}\n{kinds}{rest}").job("p")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_pipeline_that_is_not_there_gets_a_suggestion(project):
    with pytest.raises(ConfigurationError, match="has no pipeline 'order'; did you mean 'orders'"):
        project().job("order")
    with pytest.raises(ConfigurationError, match="has no pipeline 'x'; it has none"):
        project("").job("x")


@pytest.mark.parametrize("content", [b"\xff", None])
def test_a_file_that_can_not_be_read_is_an_error(tmp_path, content):
    path = tmp_path / "singer.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"singer\.toml (can't be read|is not UTF-8)"):
        load_project(path)


def test_the_line_is_found_however_the_setting_is_written(project):
    text = (
        '# [taps.x]\n[taps.y]\nconfig.z = """\n[taps.x]\n"""\n'
        '[taps."x"]\nselect = [\n  "a",\n  # comment ]\n  "b",\n]\n'
        "config = { a = '#', b = [1,\n 2] }\nenvironment.A = '''\n'x' = \n'''\npython = 3\n"
    )
    with pytest.raises(ConfigurationError, match=r"singer\.toml:17: taps\.x\.python: has to be string"):
        project(text)


def test_secrets_are_not_shown_by_errors_of_the_whole(project):
    with pytest.raises(ConfigurationError) as caught:
        project("[taps.tap-csv.config]\npassword = 's3cret'\n[taps.tap-csv]\npython = { key = 's3cret' }\n")
    assert "s3cret" not in json.dumps(str(caught.value))


def test_paths_are_taken_from_the_folder_of_the_file(project, tmp_path, monkeypatch):
    (tmp_path / "catalog.json").write_text("{}")
    project(f"{PIPELINE}[taps.t]\n".replace("[taps.tap-csv]\n", "[taps.tap-csv]\ncatalog = 'catalog.json'\n"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    job = load_project(Path("../singer.toml")).job("p")
    assert job.catalog.resolve() == tmp_path / "catalog.json"


@pytest.mark.parametrize(
    ("said", "kept"),
    [("", (1_000, 500)), ("keep_runs = 3", (3, 500)), ("keep_runs = 0\nkeep_revisions = 7", (0, 7))],
)
def test_how_much_of_the_past_is_kept_is_said_once_for_all_pipelines(tmp_path, said, kept):
    (tmp_path / "singer.toml").write_text(
        f'[state]\n{said}\n[taps.a]\ncommand = "true"\n[targets.b]\ncommand = "true"\n'
        '[pipelines.p]\ntap = "a"\ntarget = "b"\n'
    )
    retention = load_project(tmp_path / "singer.toml").job("p").retention
    assert (retention.runs, retention.revisions) == kept


def test_a_past_of_less_than_nothing_is_refused(tmp_path):
    (tmp_path / "singer.toml").write_text("[state]\nkeep_runs = -1\n")
    with pytest.raises(ConfigurationError, match="keep_runs"):
        load_project(tmp_path / "singer.toml")
