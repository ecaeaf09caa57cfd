"""What a program wrote back into its config is kept, whatever comes in between."""

from __future__ import annotations

import json
import threading

import pytest

from singerkit.errors import ConfigurationError
from singerkit.runner.private_files import PrivateFolder

SETTINGS = {f"token{number}": "a" for number in range(8)}


def rotate(folder, name, program="tap"):
    path = folder.path / f"{program}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: "b"}))


def written(base, settings, program="tap"):
    """Give the config that the next run of a program is given."""
    with PrivateFolder(base) as folder:
        return json.loads(folder.write_config(program, settings, writes_back=True).read_bytes())


def test_a_config_that_can_not_be_read_at_the_moment_is_read_by_the_next_run(tmp_path):
    with PrivateFolder(tmp_path) as folder:
        path = folder.write_config("tap", SETTINGS, writes_back=True)
        rotate(folder, "token0")
        path.rename(tmp_path / "there")
        path.symlink_to(path)  # "too many levels of symbolic links"
    assert written(tmp_path, SETTINGS) == SETTINGS
    path.unlink()
    (tmp_path / "there").rename(path)
    written(tmp_path, SETTINGS)
    assert written(tmp_path, SETTINGS) == {**SETTINGS, "token0": "b"}
    assert not path.parent.exists()


def test_runs_that_end_at_once_keep_what_each_of_them_changed(tmp_path):
    together = threading.Barrier(len(SETTINGS))

    def run(name):
        with PrivateFolder(tmp_path) as folder:
            folder.write_config("tap", SETTINGS, writes_back=True)
            together.wait()
            rotate(folder, name)

    threads = [threading.Thread(target=run, args=[name]) for name in SETTINGS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written(tmp_path, SETTINGS) == dict.fromkeys(SETTINGS, "b")


def test_what_is_damaged_stops_its_own_program_alone(tmp_path):
    with PrivateFolder(tmp_path) as folder:
        folder.write_config("tap", SETTINGS, writes_back=True)
        rotate(folder, "token0")
        (tmp_path / "kept" / "tap.json").write_text("{")
    assert written(tmp_path, {"x": 1}, "another") == {"x": 1}
    with pytest.raises(ConfigurationError, match="mend or remove"):
        written(tmp_path, SETTINGS)
    (tmp_path / "kept" / "tap.json").unlink()
    assert written(tmp_path, SETTINGS) == {**SETTINGS, "token0": "b"}
