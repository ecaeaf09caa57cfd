import json

import pytest


@pytest.mark.parametrize("kind", ["target", "mapper"])
def test_input_comes_from_stdin_or_a_file(run, config, tmp_path, kind):
    (tmp_path / "in.jsonl").write_text("a\nb\n")
    assert json.loads(run(kind, "--config", config(), stdin="a\n").stdout)["lines"] == 1
    assert json.loads(run(kind, "--config", config(), "--input", "in.jsonl").stdout)["lines"] == 2


def test_an_input_file_that_is_not_there(run, config):
    done = run("target", "--config", config(), "--input", "gone.jsonl")
    assert (done.returncode, done.stdout) == (2, "")
    assert "input file 'gone.jsonl' can't be read: No such file or directory" in done.stderr


def test_a_target_has_its_settings(run, config):
    settings = json.loads(run("target", "--config", config()).stdout)["config"]
    assert settings["load_method"] == "append-only"
    assert settings["validate_records"] is True
