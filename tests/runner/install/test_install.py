"""`singerkit install`, with packages of the tests' own: no network."""

import subprocess
import tomllib
import zipfile

import pytest

from singerkit.errors import ConfigurationError
from singerkit.runner.project import load_project

from .conftest import write_package

TAP = '[taps.tap-a]\npackage = "./tap-a"\n'


def said_by(folder, kind="taps", name="tap-a"):
    """Give what the program of a connector prints."""
    argv = load_project(folder / "singer.toml").program(kind, name).argv
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def locked(folder):
    return tomllib.loads((folder / "singer.lock").read_text()).get("environments", {})


def environments(folder):
    return sorted(path.name for path in (folder / ".singerkit/environments").iterdir() if path.is_symlink())


def test_a_connector_gets_an_environment_of_its_own(project, singerkit):
    folder = project(TAP)
    with pytest.raises(ConfigurationError, match="it is not installed: run `singerkit install tap-a`"):
        load_project(folder / "singer.toml").program("taps", "tap-a")
    done = singerkit("install")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["taps.tap-a: resolving ./tap-a", "taps.tap-a: installing 1 package"]
    assert said_by(folder) == "tap-a 1.0"
    assert locked(folder) == {"taps.tap-a": {"packages": ["./tap-a"], "python": "", "requirements": ["./tap-a"]}}
    assert singerkit("install").stderr == "taps.tap-a: up to date\n"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheel_is_locked_by_its_hash(project, singerkit, installer):
    folder = project('[taps.tap-a]\npackage = "./tap_a-1.0-py3-none-any.whl"\n')
    build = "import backend; backend.build_wheel('..')"
    subprocess.run(["python3", "-c", build], cwd=folder / "tap-a", check=True)
    done = singerkit("install", SINGERKIT_INSTALLER=installer)
    assert done.returncode == 0, done.stderr
    (requirement,) = locked(folder)["taps.tap-a"]["requirements"]
    assert requirement.startswith("./tap_a-1.0-py3-none-any.whl --hash=sha256:")
    assert said_by(folder) == "tap-a 1.0"
    with zipfile.ZipFile(folder / "tap_a-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("evil.py", "")
    (folder / ".singerkit/environments/taps.tap-a").unlink()
    done = singerkit("install", SINGERKIT_INSTALLER=installer)
    assert done.returncode == 1
    assert "hash" in done.stderr.lower()
    assert environments(folder) == []


def test_connectors_that_ask_for_the_same_share_an_environment(project, singerkit):
    folder = project(
        TAP + '[taps.b]\ninherits = "tap-a"\ncommand = "tap-a"\n[targets.t]\npackage = "./tap-a"\ncommand = "tap-a"\n'
    )
    assert singerkit("install", "t").returncode == 0
    assert environments(folder) == ["taps.tap-a"]
    assert said_by(folder, "targets", "t") == said_by(folder, "taps", "b") == "tap-a 1.0"


def test_upgrade_takes_a_changed_folder_and_a_changed_package_is_taken_anyway(project, singerkit):
    folder = project(TAP)
    singerkit("install")
    write_package(folder / "tap-a", "tap-a", "2.0")
    assert "up to date" in singerkit("install").stderr
    assert said_by(folder) == "tap-a 1.0"
    singerkit("install", "--upgrade", "tap-a")
    assert said_by(folder) == "tap-a 2.0"
    write_package(folder / "other", "tap-a", "3.0")
    project(TAP.replace("./tap-a", "./other"))
    singerkit("install")
    assert said_by(folder) == "tap-a 3.0"


def test_what_fails_leaves_what_was_there(project, singerkit):
    folder = project(TAP)
    singerkit("install")
    lock = (folder / "singer.lock").read_text()
    project(TAP.replace("./tap-a", "no-such-package-anywhere==1"))
    done = singerkit("install")
    assert done.returncode == 1
    assert "resolving no-such-package-anywhere==1 failed" in done.stderr
    assert (folder / "singer.lock").read_text() == lock
    (folder / "tap-a/backend.py").write_text("def build_wheel(*_, **__): raise SystemExit('no wheel today')")
    project(TAP)
    done = singerkit("install", "--upgrade")
    assert done.returncode == 1
    assert "no wheel today" in done.stderr
    assert said_by(folder) == "tap-a 1.0"
    assert len(list((folder / ".singerkit/environments").glob("taps.tap-a-*"))) == 1


def test_check_fails_on_drift_and_changes_nothing(project, singerkit):
    folder = project(TAP)
    done = singerkit("install", "--check")
    assert done.returncode == 2
    assert "taps.tap-a: is not in singer.lock" in done.stderr
    assert not (folder / "singer.lock").exists()
    singerkit("install")
    assert singerkit("install", "--check").returncode == 0
    project(TAP.replace("./tap-a", "./tap-b") + "[taps.x]\n")
    assert "singer.toml asks for something else than what is in singer.lock" in singerkit("install", "--check").stderr
    project("")
    assert "taps.tap-a: is in singer.lock, but no connector asks for it" in singerkit("install", "--check").stderr
    project(TAP)
    lock = folder / "singer.lock"
    lock.write_text(lock.read_text().replace('  "./tap-a"', '  "./tap-a", "b==1"'))
    assert "what is installed is not what is in singer.lock" in singerkit("install", "--check").stderr


def test_what_no_connector_asks_for_any_more_is_removed(project, singerkit):
    folder = project(TAP)
    singerkit("install")
    project("")
    assert singerkit("install").stderr.splitlines()[-1] == "taps.tap-a: removed"
    assert locked(folder) == {}
    assert [path.name for path in (folder / ".singerkit/environments").iterdir()] == [".lock"]


def test_only_the_current_environment_and_the_one_before_are_kept(project, singerkit):
    folder = project(TAP)
    for version in ("1.0", "2.0", "3.0"):
        write_package(folder / "tap-a", "tap-a", version)
        assert singerkit("install", "--upgrade").returncode == 0
    assert said_by(folder) == "tap-a 3.0"
    assert len(list((folder / ".singerkit/environments").glob("taps.tap-a-*"))) == 2


def test_a_token_in_a_package_s_address_is_neither_locked_nor_shown(project, singerkit):
    folder = project('[taps.tap-a]\npackage = "tap-a @ file://${BASE}/tap-a"\n')
    done = singerkit("install", BASE=str(folder))
    assert done.returncode == 0, done.stderr
    assert locked(folder)["taps.tap-a"]["requirements"] == ["tap-a @ file://${BASE}/tap-a"]
    assert str(folder) not in (folder / "singer.lock").read_text()
    assert said_by(folder) == "tap-a 1.0"
    done = singerkit("install", "--upgrade", BASE="/canary/t0ken")
    assert done.returncode == 1
    assert "t0ken" not in done.stderr
    assert "BASE is not set" in singerkit("install").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tap-aa"], "has no connector 'tap-aa'; did you mean 'tap-a'?"),
        (["tap-b"], "has no connector 'tap-b'; it has tap-a, tap-csv, wrong"),
        (["tap-csv"], "'tap-csv' has no `package` in"),
        (["wrong"], "its package has no program 'tap-z'; it has: tap-a: name its program in `command`"),
        (["--project", "gone.toml"], "gone.toml can't be read: No such file or directory"),
    ],
)
def test_what_can_not_be_installed_is_said(project, singerkit, words, message):
    project(f'{TAP}[taps.tap-csv]\n[taps.wrong]\npackage = ["./tap-a"]\ncommand = "tap-z"\n')
    done = singerkit("install", *words)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "is damaged"),
        ("version = 1\nenvironments = 3", "is damaged"),
        ("version = 2", "is of version 2; this singerkit knows version 1"),
    ],
)
def test_a_damaged_lock_is_not_taken_for_an_empty_one(project, singerkit, text, message):
    (project(TAP) / "singer.lock").write_text(text)
    done = singerkit("install")
    assert done.returncode == 2
    assert message in done.stderr


def test_without_a_project_there_is_a_hint(tmp_path, singerkit):
    done = singerkit("install")
    assert (done.returncode, "`singerkit init` writes one" in done.stderr) == (2, True)
