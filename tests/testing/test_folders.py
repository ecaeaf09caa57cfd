from __future__ import annotations

from pathlib import Path

from singerkit_testing.folders import Folders, filled, rooted


def test_paths_of_a_config_are_taken_from_here(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "people.csv").touch()
    config = {
        "files": [{"path": "data/new.csv"}, {"path": "people.csv"}, {"path": "./data/*.csv"}],
        "data": "data",
        "other": ["none.csv", "/abs/x", "http://data/x", "{workdir}/data", "a.b", "..", "1.5", ""],
        "n": 1,
    }
    changed = rooted(config, tmp_path)
    assert changed == {
        **config,
        "files": [
            {"path": str(tmp_path / "data/new.csv")},
            {"path": str(tmp_path / "people.csv")},
            {"path": str(tmp_path / "data/*.csv")},
        ],
    }


def test_placeholders_are_filled_everywhere():
    config = {"a": ["{workdir}/x", {"b": "{case}_{workdir}"}], "n": None}
    assert filled(config, {"{workdir}": "/w", "{case}": "c1"}) == {"a": ["/w/x", {"b": "c1_/w"}], "n": None}


def test_folders_are_fresh_and_disappear():
    folders = Folders()
    first, second = folders.fresh(), folders.fresh()
    assert first != second
    assert list(first.iterdir()) == []
    folders.close()
    assert not Path(first).exists()


def test_byte_code_is_kept_where_it_would_not_be(monkeypatch):
    folders = Folders()
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert folders.byte_code() == {}
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    kept = folders.byte_code()
    assert kept["PYTHONDONTWRITEBYTECODE"] is None
    assert Path(kept["PYTHONPYCACHEPREFIX"]).parent == folders.fresh().parent
    folders.close()
