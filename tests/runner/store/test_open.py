"""From a URL to a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from singerkit.errors import ConfigurationError, MissingExtraError
from singerkit.runner.store.base import StoreError
from singerkit.runner.store.open import default_url, open_store


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlit:///x.db", "'sqlit://' is no state store; did you mean 'sqlite'?"),
        ("postgressql://u:C4NARY@h/d", "did you mean 'postgresql'"),
        ("state.db", "has to be a URL: sqlite:///state.db"),
        ("sqlite://", "names no file"),
        ("sqlite://state.db", "names no file"),
        ("sqlite:///state.db?mode=ro", "names no file"),
        ("file:///", "names no folder"),
        ("file://host/folder", "names no folder"),
        ("s3:///x", "names no bucket"),
        ("s3://b/x?secret_access_key=C4NARY", "credentials belong into the environment"),
        ("s3://b/x?no_such_option=C4NARY", "check its address"),
        ("postgresql://u:C4NARY@h/d?nonsense=1", "nonsense"),
    ],
)
def test_a_url_that_is_none_is_refused_in_words(url, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert said in str(caught.value)
    assert "C4NARY" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_path_of_three_slashes_is_below_this_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///here/state%20of.db").close()
    assert (tmp_path / "here/state of.db").exists()
    absolute = str(tmp_path / "state.db").lstrip("/")
    with pytest.raises(ConfigurationError, match=f"for '/{absolute}' say sqlite:////{absolute}"):
        open_store(f"sqlite:///{absolute}")


def test_the_default_is_in_the_users_folder_for_state(tmp_path):
    assert default_url({"XDG_STATE_HOME": str(tmp_path)}) == f"sqlite:///{tmp_path}/singerkit/state.db"
    assert default_url({}) == f"sqlite:///{Path.home()}/.local/state/singerkit/state.db"
    assert default_url({"XDG_STATE_HOME": "relative"}) == default_url({})


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [("psycopg", "postgresql://h/d", "postgres"), ("obstore", "s3://b/p", "cloud")],
)
def test_a_package_that_is_missing_is_named(package, url, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.store", None)
    monkeypatch.delitem(sys.modules, "singerkit.runner.store.postgresql", raising=False)
    with pytest.raises(MissingExtraError, match=rf"pip install 'singerkit\[{extra}\]'"):
        open_store(url)


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(StoreError, match=r"PostgreSQL at 127.0.0.1:9/d can't be used") as caught:
        open_store("postgresql://u:C4NARY@127.0.0.1:9/d?connect_timeout=2")
    assert "C4NARY" not in str(caught.value)


def test_a_store_brings_in_no_package_of_another(tmp_path):
    code = (
        "import sys; from singerkit.runner.store.open import open_store\n"
        "open_store('sqlite:///state.db').close()\n"
        "print([name for name in ('psycopg', 'obstore', 'requests', 'click', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout == "[]\n"
