from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.config.resolve import read_config, resolve_config
from singerkit.config.write_back import ConfigFile, file_holding, with_setting
from singerkit.errors import ConfigurationError

SCHEMA = {"type": "object", "properties": {"refresh_token": {"type": "string"}, "other": {"type": "string"}}}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    config=st.dictionaries(st.text(max_size=6), values, min_size=1, max_size=6),
    form=st.sampled_from([{}, {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}, {"ensure_ascii": False}]),
    edges=st.sampled_from([("", ""), ("\ufeff", "\n"), ("\n\n ", "\r\n"), ("", "\n\n")]),
    data=st.data(),
)
def test_one_value_changes_and_nothing_else(config, form, edges, data):
    name = data.draw(st.sampled_from(sorted(config)))
    before, after = edges
    text = before + json.dumps(config, **form) + after
    marker = "\x00marker\x00"
    changed = with_setting(text, name, marker)
    assert json.loads(changed.removeprefix("\ufeff")) == {**config, name: marker}
    # Put back as it was written, it is the same text.
    assert changed.replace(json.dumps(marker), json.dumps(config[name], **form), 1) == text or "indent" in form
    assert list(json.loads(changed.removeprefix("\ufeff"))) == list(config)
    assert changed.startswith(before)
    assert changed.endswith(after)


def test_layout_escapes_and_order_stay():
    text = '{\r\n\t"a" : [1, 2],  "refresh_token":"old" ,\r\n\t"b\\u0062": {"refresh_token": "inner"}\r\n}\r\n'
    assert with_setting(text, "refresh_token", "new") == text.replace('"old"', '"new"')


def test_of_two_members_with_one_name_the_last_counts_and_is_changed():
    assert with_setting('{"a": 1, "a": 2}', "a", 3) == '{"a": 1, "a": 3}'


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": 1,}', '"a"', "null"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError):
        with_setting(text, "a", 1)


def test_a_setting_that_is_not_there_is_refused():
    with pytest.raises(KeyError):
        with_setting('{"b": {"a": 1}}', "a", 1)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"refresh_token": "old",\n "other": "stays"}\n')
    return path


def holding(*sources, environ=None):
    config = read_config(sources, env_prefix="TAP_X_", schema=SCHEMA, environ=environ or {})
    return file_holding(resolve_config(config, SCHEMA), "refresh_token")


def test_the_file_is_the_one_that_holds_the_setting(path, tmp_path):
    without = tmp_path / "without.json"
    without.write_text('{"other": "x"}')
    second = tmp_path / "second.json"
    second.write_text('{"refresh_token": "x"}')
    assert holding(path) == path
    assert holding(str(path), without) == path
    assert holding(without, "ENV", path) == path
    assert holding(path, "ENV", environ={"TAP_X_OTHER": "x"}) == path


def test_there_is_no_file_where_it_is_not_sure(path, tmp_path):
    second = tmp_path / "second.json"
    second.write_text('{"refresh_token": "x"}')
    assert holding(path, second) is None
    assert holding(path, "ENV", environ={"TAP_X_REFRESH_TOKEN": "x"}) is None
    assert holding("ENV", environ={"TAP_X_REFRESH_TOKEN": "x"}) is None
    assert file_holding({"refresh_token": "x"}, "refresh_token") is None
    assert file_holding(resolve_config({"refresh_token": "x"}, SCHEMA), "refresh_token") is None


def test_a_pipe_is_no_file_to_write_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    config = read_config([], env_prefix="", schema=SCHEMA)
    config.take({"refresh_token": "x"}, pipe)
    assert file_holding(config, "refresh_token") is None


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604])
def test_permissions_stay_and_nothing_is_left_beside(path, mode):
    path.chmod(mode)
    ConfigFile(path).write("refresh_token", "new")
    assert path.read_text() == '{"refresh_token": "new",\n "other": "stays"}\n'
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(path.parent.iterdir()) == [path]


def test_a_symbolic_link_stays_one_and_the_file_behind_it_is_changed(path, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "link.json").symlink_to(path)
    (folder / "link2.json").symlink_to("link.json")
    file = ConfigFile(folder / "link2.json")
    assert file.lock(1)
    file.write("refresh_token", "new")
    file.unlock()
    assert (folder / "link2.json").is_symlink()
    assert not path.is_symlink()
    assert json.loads(path.read_text())["refresh_token"] == "new"
    assert sorted(folder.iterdir()) == [folder / "link.json", folder / "link2.json"]


def test_why_it_can_not_be_written_is_said_with_the_files_name_and_no_value(path):
    path.write_text('{"other": "s3cret-value"}')
    with pytest.raises(ConfigurationError, match=r"config.json' has no setting 'refresh_token' any more") as caught:
        ConfigFile(path).write("refresh_token", "n3w-secret")
    assert "s3cret" not in str(caught.value)
    assert "n3w" not in str(caught.value)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"config.json' can't be written: No such file"):
        ConfigFile(path).write("refresh_token", "new")


NOBODY = 65534


@pytest.fixture
def own_folder():
    """Give a folder of a user for whom permissions count: for root they don't."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    if user == 0:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(user)
    shutil.rmtree(folder)


def test_write_protection_is_respected(own_folder):
    path = own_folder / "config.json"
    path.write_text('{"refresh_token": "old"}')
    path.chmod(0o400)
    with pytest.raises(ConfigurationError, match="it is write-protected"):
        ConfigFile(path).write("refresh_token", "new")
    path.chmod(0o600)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(ConfigurationError, match="Permission denied"):
            ConfigFile(path).write("refresh_token", "new")
    finally:
        path.parent.chmod(0o700)
    assert json.loads(path.read_text())["refresh_token"] == "old"


def test_a_lock_is_waited_for_and_then_given_up(path):
    first, second = ConfigFile(path), ConfigFile(path)
    assert first.lock(1)
    assert not first.lock(1), "it holds it already"
    with pytest.raises(ConfigurationError, match=r"another run has locked config file '.*config.json'"):
        second.lock(0.1)
    first.unlock()
    assert second.lock(1)
    second.unlock()


def test_a_lock_holds_for_the_file_that_took_the_place_of_the_locked_one(path):
    first, second = ConfigFile(path), ConfigFile(path)
    first.lock(1)
    waiting = threading.Thread(target=second.lock, args=(5,))
    waiting.start()
    first.write("refresh_token", "new")
    first.unlock()
    waiting.join()
    third = ConfigFile(path)
    with pytest.raises(ConfigurationError, match="another run has locked"):
        third.lock(0.1)
    second.unlock()


COUNT = """
import sys
from pathlib import Path
from singerkit.config.write_back import ConfigFile
for _ in range(int(sys.argv[2])):
    file = ConfigFile(Path(sys.argv[1]))
    file.lock(60)
    file.write("count", file.read()["count"] + 1)
    file.unlock()
"""


def test_processes_do_not_lose_each_others_change(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"count": 0}')
    runs = [subprocess.Popen([sys.executable, "-c", COUNT, path, "40"]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert path.read_text() == '{"count": 120}'


def test_a_process_that_is_killed_leaves_a_whole_file_and_no_lock(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"count": 0, "rest": "x" * 2_000_000}))
    for delay in (0.0, 0.003, 0.006, 0.01):
        before = ConfigFile(path).read()["count"]
        with subprocess.Popen([sys.executable, "-c", COUNT, path, "100000"]) as run:
            while ConfigFile(path).read()["count"] < before + 2:
                time.sleep(0.001)
            time.sleep(delay)
            run.send_signal(signal.SIGKILL)
        file = ConfigFile(path)
        assert file.lock(1)
        file.unlock()
        assert len(file.read()["rest"]) == 2_000_000
