import json

import pytest


def test_a_tap_reads_config_catalog_and_state(run, config, tmp_path):
    (tmp_path / "catalog.json").write_text('{"streams": []}')
    (tmp_path / "my state.json").write_text('{"bookmarks": {}}')
    done = run("tap", "--state", "my state.json", "--catalog=catalog.json", "--config", config(page_size=5))
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "verb": "sync",
        "catalog": {"streams": []},
        "state": {"bookmarks": {}},
        "config": {"api_key": "C4NARY-key", "page_size": 5, "password": "hidden-default"},
    }
    assert "C4NARY" not in done.stderr


def test_short_options_and_the_older_catalog(run, config, tmp_path):
    (tmp_path / "p.json").write_text('{"streams": [{"tap_stream_id": "a", "schema": {"selected": true}}]}')
    (tmp_path / "s.json").write_text("{}")
    done = run("tap", "-c", config(), "-s", "s.json", "-p", "p.json")
    assert json.loads(done.stdout)["catalog"]["streams"][0]["tap_stream_id"] == "a"
    assert json.loads(done.stdout)["state"] == {}


def test_configs_are_merged_from_left_to_right(run, config):
    first, second = config("a.json", page_size=1, end="code"), config("b.json", page_size=2)
    done = run("tap", "--config", first, "--config", second, "--config=ENV", TAP_X_PAGE_SIZE="3")
    assert done.returncode == 7
    assert json.loads(done.stdout)["config"]["page_size"] == 3


def test_discovery_writes_one_document(run, config):
    done = run("tap", "--config", config(), "--discover")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"streams": [], "key": True}
    assert "printed by the constructor" in done.stderr
    assert "printed by discovery" in done.stderr


def test_discovery_of_fixed_streams_needs_no_config(run):
    assert json.loads(run("fixed-tap", "--discover").stdout) == {"streams": []}


def test_discovery_that_lacks_its_config_says_so(run):
    done = run("tap", "--discover")
    assert (done.returncode, done.stdout) == (2, "")
    assert "api_key: is required" in done.stderr
    assert "KeyError" not in done.stderr


def test_discovery_checks_a_config_that_is_given(run, tmp_path):
    (tmp_path / "c.json").write_text("{}")
    assert run("fixed-tap", "--discover", "--config", "c.json").returncode == 2


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["--test"], "test"),
        (["--test=records"], "test"),
        (["--test=all"], "test"),
        (["--test", "all"], "test"),
        (["--test=schema"], "schemas"),
    ],
)
def test_testing(run, config, words, verb):
    for order in ([*words, "--config", config()], ["--config", config(), *words]):
        done = run("tap", *order)
        assert json.loads(done.stdout)["verb"] == verb
        assert done.returncode == 0


def test_a_test_that_fails(run, config):
    done = run("tap", "--config", config(page_size=0), "--test")
    assert done.returncode == 1
    assert "the connection test has failed" in done.stderr


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog", "--properties"])
@pytest.mark.parametrize("content", ["", "[]", "null", '{"a":\n', None])
def test_a_file_that_is_not_usable_stops_the_run(run, config, tmp_path, option, content):
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    done = run("tap", *([] if option == "--config" else ["--config", config()]), option, "bad.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_whole_state_message_is_no_state(run, config, tmp_path):
    (tmp_path / "s.json").write_text('{"type": "STATE", "value": {"bookmarks": {}}}')
    done = run("tap", "--config", config(), "--state", "s.json")
    assert done.returncode == 2
    assert "'value'" in done.stderr


def test_catalog_and_properties_exclude_each_other(run, config):
    done = run("tap", "--config", config(), "--catalog", "x", "--properties", "y")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_every_problem_of_the_config_is_listed(run, tmp_path):
    (tmp_path / "c.json").write_text('{"page_size": "C4NARY", "auth": {"user": ["C4NARY"]}, "password": 4711471147}')
    done = run("tap", "--config", "c.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("  ")
    for line in ("api_key: is required", "page_size: has to be integer or null", "auth.user: has to be string"):
        assert f"\n  {line}\n" in done.stderr
    assert "C4NARY" not in done.stderr
    assert "4711471147" not in done.stderr


def test_an_unknown_setting_is_a_warning(run, config):
    done = run("tap", "--config", config(page_sizes=3))
    assert done.returncode == 0
    assert "WARNING" in done.stderr
    assert "did you mean 'page_size'" in done.stderr
