"""The files of a release: a wheel has the same in it, whether it is built from a clone or from the source archive."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import scaffolded

from singerkit.scaffold.templates import KINDS

ROOT = Path(__file__).parents[2]


def build(target, source, place):
    scaffolded.run([sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(place)], source)
    (built,) = place.iterdir()
    return built


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "dist-info" not in name}


@pytest.fixture(scope="module")
def from_clone(tmp_path_factory):
    return files_of(build("wheel", ROOT, tmp_path_factory.mktemp("clone")))


def test_what_the_templates_share_is_in_the_wheel_for_each_kind(from_clone):
    for kind in KINDS:
        assert f"singerkit/cookiecutter/{kind}/hooks/post_gen_project.py" in from_clone
        for shared in (path.name for path in (ROOT / "cookiecutter/shared").iterdir() if path.is_file()):
            assert f"singerkit/cookiecutter/{kind}/templates/shared/{shared}" in from_clone


def test_a_wheel_from_the_source_archive_is_the_same(from_clone, tmp_path):
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("singerkit-*")
    from_archive = files_of(build("wheel", unpacked, tmp_path / "wheel"))
    assert sorted(from_archive) == sorted(from_clone)
    assert from_archive == from_clone


def test_make_does_what_it_lists_though_a_folder_has_the_name(tmp_path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "Makefile").write_text(makefile, encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    # In the order in which they depend on each other, so that all of them are up to date.
    installed = [f".venv/installed-{name}" for name in ("demo", "test", "check", "docs", "release")]
    for name in ("pyproject.toml", ".venv/made", *installed):
        (tmp_path / name).touch()
    listed = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    for name in listed:
        (tmp_path / name).mkdir()
    assert not [name for name in listed if "up to date" in scaffolded.run(["make", "--dry-run", name], tmp_path)]
