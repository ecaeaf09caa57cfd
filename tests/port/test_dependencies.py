"""`pyproject.toml` in, `pyproject.toml` out: of PEP 621 and of poetry."""

from __future__ import annotations

import textwrap
import tomllib

import pytest

from singerkit import __version__
from singerkit.errors import ConfigurationError
from singerkit.port.bounds import excludes
from singerkit.port.dependencies import Imported, port_pyproject
from singerkit.port.requirements import is_old_requirement, new_requirement

NOTHING = Imported(frozenset(), frozenset(), frozenset())
OURS = f">={__version__}"


def ported(text: str, *, modules: str = "", names: str = "Tap", test_names: str = "") -> dict:
    imported = Imported(frozenset(modules.split()), frozenset(names.split()), frozenset(test_names.split()))
    made = port_pyproject(textwrap.dedent(text), imported)
    assert port_pyproject(made, imported) == made, "a second time changes nothing"
    return tomllib.loads(made)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("singer-sdk", f"singerkit{OURS}"),
        ("singer_sdk[faker, s3] ~= 0.40.0", f"singerkit[cloud,faker]{OURS}"),
        ("singer-sdk[msgspec]>=0.1; python_version < '4'", f"singerkit{OURS} ; python_version < '4'"),
        ("singer-sdk @ git+https://example.com/sdk.git", f"singerkit{OURS}"),
    ],
)
def test_a_requirement(old: str, new: str) -> None:
    assert is_old_requirement(old)
    assert new_requirement(old) == new


@pytest.mark.parametrize("other", ["singer-sdk-extras>=1", "singer-python", "", "# singer-sdk"])
def test_the_requirement_of_something_else(other: str) -> None:
    assert not is_old_requirement(other)


def test_a_project_of_pep_621_with_groups() -> None:
    text = """\
        [project]
        name = "tap-x"  # a comment that stays
        requires-python = ">=3.9,<4"
        dependencies = [
          "requests>=2.31",
          "singer-sdk[faker]~=0.54.0",
        ]
        optional-dependencies.s3 = ["singer-sdk[s3]"]
        [project.scripts]
        tap-x = "tap_x.tap:TapX.cli"
        [dependency-groups]
        dev = [{ include-group = "test" }]
        test = ["pytest>=8", "singer-sdk[testing]"]
        [tool.uv.sources]
        singer-sdk = { git = "https://example.com/sdk.git" }
        [tool.pytest.ini_options]
        filterwarnings = ["error", "ignore:x:singer_sdk.helpers._compat.SingerSDKDeprecationWarning"]
    """
    made = ported(text, modules="requests typing_extensions dateutil", test_names="get_tap_test_class")
    project = made["project"]
    assert project["dependencies"] == [
        "requests>=2.31", f"singerkit[faker]{OURS}", "python-dateutil>=2.8", "typing-extensions>=4.5"
    ]  # fmt: skip
    assert project["optional-dependencies"]["s3"] == [f"singerkit[cloud]{OURS}"]
    assert project["requires-python"] == ">=3.11,<4"
    assert project["scripts"] == {"tap-x": "tap_x.tap:TapX.cli"}
    assert made["dependency-groups"]["test"] == ["pytest>=8", f"singerkit[testing]{OURS}"]
    assert made["tool"]["uv"]["sources"] == {}
    assert made["tool"]["pytest"]["ini_options"]["filterwarnings"] == ["error"]
    assert "# a comment that stays" in port_pyproject(textwrap.dedent(text), NOTHING)


def test_a_project_of_poetry() -> None:
    text = """\
        [tool.poetry.dependencies]
        python = "^3.8"
        singer-sdk = { version = "~=0.40.0", extras = ["faker"] }
        fs-s3fs = { version = "*", optional = true }
        [tool.poetry.group.dev.dependencies]
        singer-sdk = { version = "*", extras = ["testing"] }
        [tool.poetry.scripts]
        tap-x = "tap_x.tap:TapX.cli"
    """
    poetry = ported(text, modules="pendulum", test_names="get_tap_test_class")["tool"]["poetry"]
    assert list(poetry["dependencies"]) == ["python", "singerkit", "fs-s3fs", "pendulum"]
    assert poetry["dependencies"]["singerkit"] == {"version": OURS, "extras": ["faker"]}
    assert poetry["dependencies"]["python"] == "^3.11"
    assert poetry["dependencies"]["pendulum"] == ">=2.1"
    assert poetry["group"]["dev"]["dependencies"]["singerkit"]["extras"] == ["testing"]


def test_what_the_code_uses_decides_the_extras() -> None:
    text = '[project]\ndependencies = ["singer-sdk"]\n'
    made = ported(text, names="SQLTap OAuthJWTAuthenticator", modules="sqlalchemy requests backoff click urllib3")
    assert made["project"]["dependencies"] == [f"singerkit[jwt,sql]{OURS}"]


def test_tests_that_use_the_harness_get_it() -> None:
    groups = '[project]\ndependencies = ["singer-sdk"]\n[dependency-groups]\ndev = ["pytest"]\n'
    assert ported(groups, test_names="SuiteConfig")["dependency-groups"]["dev"] == [
        "pytest",
        f"singerkit[testing]{OURS}",
    ]
    plain = '[project]\ndependencies = ["singer-sdk[faker]"]\n'
    assert ported(plain, test_names="SuiteConfig")["project"]["dependencies"] == [f"singerkit[testing,faker]{OURS}"]
    poetry = '[tool.poetry.dependencies]\nsinger-sdk = "^0.40"\n'
    assert ported(poetry, test_names="SuiteConfig")["tool"]["poetry"]["dependencies"]["singerkit"] == {
        "version": OURS, "extras": ["testing"]
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", '[project]\ndependencies = ["singer-python"]\nrequires-python = ">=3.7"\n'])
def test_a_project_that_does_not_ask_for_it_stays_as_it_is(text: str) -> None:
    assert port_pyproject(text, NOTHING) == text


def test_what_is_not_toml_is_an_error_that_says_where() -> None:
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml: .* line 1"):
        port_pyproject("[project\n", NOTHING)


@pytest.mark.parametrize(
    ("constraint", "is_excluded"),
    [
        ("~=2.31.0", True), ("==2.31.*", True),
        ("==2.25.1", True), ("<2.32", True), ("<=2.31.9", True), ("~2.31", True),
        (">=2.20,<2.30", True), ("^1.9", True), ("~=2.31", False), ("==2.*", False), ("==2.32.3", False), ("<3", False),
        ("^2.25.1", False), ("~2", False), (">=2.31", False), ("*", False), ("!=2.31", False), ("^0.9", True),
    ],
)  # fmt: skip
def test_whether_a_constraint_allows_what_singerkit_needs(constraint: str, is_excluded: bool) -> None:
    assert excludes(constraint, (2, 32)) is is_excluded


def test_a_pin_that_allows_nothing_which_singerkit_takes_is_raised() -> None:
    project = """\
        [project]
        dependencies = ["singer-sdk", "requests[socks]==2.31.0 ; python_version < '4'", "click~=8.1", "other<1"]
    """
    made = ported(project)["project"]["dependencies"]
    assert made[1:] == ["requests[socks]>=2.32; python_version < '4'", "click~=8.1", "other<1"]
    poetry = """\
        [tool.poetry.dependencies]
        singer-sdk = "^0.40"
        requests = "~=2.31.0"
        SQLAlchemy = { version = "^1.4", optional = true }
        [tool.poetry.dev-dependencies]
        pytest = "^6.2.5"
    """
    made = ported(poetry)["tool"]["poetry"]
    assert made["dependencies"]["requests"] == ">=2.32"
    assert made["dependencies"]["SQLAlchemy"] == {"version": ">=2.0.30", "optional": True}
    assert made["dev-dependencies"]["pytest"] == ">=8"


def test_a_project_whose_dependencies_stand_elsewhere() -> None:
    text = """\
        [project]
        name = "tap-x"
        dynamic = ["dependencies"]
        [project.optional-dependencies]
        dev = ["singer-sdk"]
    """
    made = ported(text, modules="pendulum", test_names="SuiteConfig")
    assert made["project"]["optional-dependencies"]["dev"] == [f"singerkit{OURS}"]
