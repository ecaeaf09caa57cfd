"""`singerkit new`: a sample of its projects; `make test-scaffold` installs and checks all combinations."""

from __future__ import annotations

import difflib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import scaffolded
import written
from click.testing import CliRunner

import singerkit
from singerkit.cli.commands.new import new
from singerkit.scaffold.templates import Template
from singerkit_testing.fake_server import FakeServer, Response

ROOT = Path(__file__).parents[2]
SAMPLE = {
    "rest": (
        "tap",
        {"source": "rest", "auth": "oauth-refresh", "paging": "next-url", "license": "MIT", "ci": "gitlab"},
    ),
    "graphql": ("tap", {"source": "graphql", "auth": "login", "paging": "cursor", "license": "none", "ci": "none"}),
    "sql": ("tap", {"source": "sql"}),
    "files": ("tap", {"source": "files"}),
    "other": ("tap", {"source": "other"}),
    "api": ("target", {"source": "rest", "auth": "basic"}),
    "base": ("target", {"source": "sql"}),
    "folder": ("target", {"source": "files"}),
    "store": ("target", {"source": "other"}),
    "mask": ("mapper", {}),
}
OTHERS = pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tip"], "did you mean 'tap'?"),
        (["tap"], "--name is needed"),
        (["tap", "--name", "Shop x"], "can't be a name"),
        (["tap", "--name", "../shop"], "can't be a name"),
        (["tap", "--name", "shop", "--source", "reset"], "did you mean 'rest'?"),
        (["tap", "--name", "shop", "--source", "sql", "--auth", "bearer"], "only for --source rest or graphql"),
        (["tap", "--name", "shop", "--source", "graphql", "--paging", "offset"], "none of cursor, none"),
        (["target", "--name", "shop", "--paging", "page"], "no such choice"),
        (["tap", "--name", "shop", "--license", "GPL"], "none of Apache-2.0"),
        (["tap", "--name", "there"], "a 'tap-there' already"),
        (["tap", "--name", "shop", "--output", "nowhere"], "no folder 'nowhere'"),
    ],
)


@OTHERS
def test_what_can_not_be_made_is_one_clear_error(words, said, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("tap-there").mkdir()
    done = CliRunner().invoke(new, words)
    assert done.exit_code == 2
    assert said in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["tap-there"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["new", ""], ["tap", "target", "mapper"]),
        (["new", "tap", "--source", ""], ["rest", "graphql", "sql", "files", "other"]),
        (["new", "--source", "g"], ["graphql"]),
        (["new", "tap", "--auth", "oauth"], ["oauth-client", "oauth-refresh"]),
        (["new", "mapper", "--ci", "git"], ["github", "gitlab"]),
    ],
)
def test_a_shell_completes_what_can_be_chosen(typed, offered, tmp_path):
    asked = {"COMP_WORDS": " ".join(["singerkit", *typed]), "COMP_CWORD": str(len(typed))}
    said = scaffolded.run([sys.executable, "-m", "singerkit"], tmp_path, _SINGERKIT_COMPLETE="bash_complete", **asked)
    assert said.split() == [f"plain,{each}" for each in offered]


def test_without_cookiecutter_the_error_names_the_extra(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "cookiecutter.generate", None)
    done = CliRunner().invoke(new, ["tap", "--name", "shop", "--output", str(tmp_path)])
    assert done.exit_code == 2
    assert "pip install 'singerkit[scaffold]'" in caplog.text


def typed(keys, folder):
    """Type into a terminal in which questions are asked; gives the exit code and what was said."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "singerkit", "new", "tap", "--output", str(folder), "--license", "none"]
    with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asking:
        os.write(ours, keys)
        said = asking.communicate(timeout=60)[0]
    os.close(ours)
    os.close(theirs)
    return asking.returncode, said


def test_questions_are_asked_in_the_terminal_until_answers_can_be_used(tmp_path):
    (tmp_path / "tap-there").mkdir()
    # The name three times, source, auth twice, paging, CI.
    code, said = typed(b"Crm!\nthere\ncrm\n2\nnonsense\napi-key\nnone\n3\n", tmp_path)
    assert code == 0
    assert "'Crm!' can't be a name" in said
    assert "tap-there' already" in said
    assert "GraphQL API" in said
    assert "'nonsense' is none of them" in said
    assert "Under which license" not in said
    project = tmp_path / "tap-crm"
    assert "GraphQLStream" in (project / "tap_crm/streams.py").read_text()
    assert "X-Api-Key" in (project / "tap_crm/streams.py").read_text()
    assert not any((project / name).exists() for name in ("LICENSE", ".github", ".gitlab-ci.yml"))


def test_who_leaves_the_terminal_leaves_nothing_behind(tmp_path):
    code, said = typed(b"crm\n\x04", tmp_path)
    assert code == 130
    assert "singer" in said.splitlines()[-1]
    assert "interrupted" in said.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects")
    made = {}
    for name, (kind, answers) in SAMPLE.items():
        options = [word for option, value in answers.items() for word in (f"--{option}", value)]
        done = CliRunner().invoke(new, [kind, "--name", name, *options, "--output", str(folder)])
        assert done.exit_code == 0, done.output
        made[name] = folder / f"{kind}-{name}"
    return made


def test_they_are_clean(sample):
    scaffolded.lint(sample.values())


def test_their_files_fit_their_formats_and_agree(sample):
    for name, (kind, answers) in SAMPLE.items():
        asked = {question.name: question.default for question in Template(kind).questions.values()}
        assert written.problems_of(sample[name], {**asked, **answers}) == []


def test_their_tests_pass(sample):
    few = "not (TestTap or TestTarget or TestMapper) or (TestTapRest and TAP-008) or (TestMapperMask and EXT-001)"
    assert " passed" in scaffolded.run_tests(sample.values(), few)


@pytest.mark.parametrize("name", SAMPLE)
def test_the_first_command_gives_records_without_an_installation(sample, name, tmp_path):
    kind, answers = SAMPLE[name]
    said = scaffolded.run(f"({scaffolded.first_run(kind, answers, sample[name])}) 2>&1", tmp_path)
    if kind == "tap":
        assert list(scaffolded.stored(sample[name]))
    assert '"bookmarks"' in said


@pytest.mark.parametrize("found", ["ours", "another"])
def test_without_uv_the_first_run_is_the_first_of_three_commands(tmp_path, found):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    python = str(tmp_path / "bin/python") if found == "ours" else sys.executable
    said = scaffolded.run(
        [python, "-m", "singerkit", "new", "tap", "--name", "shop", "--no-input"],
        tmp_path,
        PATH=str(tmp_path / "bin"),
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    called, singerkit = ("python", "singerkit") if found == "ours" else (python, f"{python} -m singerkit")
    assert re.findall("^  (.*)$", said, re.MULTILINE) == [
        f"cd tap-shop && {called} -m tap_shop --replay recordings | {singerkit} target-jsonl",
        f"{called} -m pytest",
        f"{called} -m pip install --editable .",
    ]


def test_singer_toml_runs_the_demo(sample, tmp_path):
    for name, module in (("tap-rest", "tap_rest"), ("singerkit", "singerkit")):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    scaffolded.run(["singerkit", "run", "demo"], sample["rest"], PATH=path, PYTHONPATH=str(sample["rest"]))
    orders = [record for record in scaffolded.stored(sample["rest"]) if "total" in record]
    assert {order["id"] for order in orders} == {11, 12, 13, 14, 15}


def test_plain_cookiecutter_makes_the_same(sample, tmp_path):
    options = ["--directory", "cookiecutter/mapper", "--no-input", "--output-dir", str(tmp_path), "name=mask"]
    scaffolded.run([sys.executable, "-m", "cookiecutter", str(ROOT), *options], tmp_path, HOME=str(tmp_path))
    for path in (path for path in (tmp_path / "mapper-mask").rglob("*") if path.is_file()):
        twin = sample["mask"] / path.relative_to(tmp_path / "mapper-mask")
        assert path.read_bytes() == twin.read_bytes()


def test_every_combination_is_counted():
    assert len(scaffolded.combinations("tap")) == (7 * 7 + 7 * 2 + 3) * 4 * 3
    assert len(scaffolded.combinations("target")) == (4 + 3) * 4 * 3
    assert len(scaffolded.combinations("mapper")) == 4 * 3


def test_what_the_templates_repeat_is_true():
    assert (ROOT / "cookiecutter/shared/apache-2.0.txt").read_text() == (ROOT / "LICENSE").read_text()
    for kind in ("tap", "target", "mapper"):
        document = json.loads((Template(kind).folder / "cookiecutter.json").read_text())
        assert singerkit.__version__.startswith(document["_singerkit"] + ".")


#: What an author changes in a scaffolded tap, so that it reads another API.
EDITS = [
    ('    records_jsonpath = "$.data[*]"', '    records_jsonpath = "$.tickets[*]"'),
    ("class Orders(API):", "class Tickets(API):"),
    ('    name = "orders"', '    name = "tickets"'),
    ('    path = "/orders"', '    path = "/tickets.json"'),
    (
        'incremental = Incremental(param="updated_since")',
        'incremental = Incremental(param="changed_from", format="date")',
    ),
    ('"updated_at"', '"changed"'),
    ('        th.Property("customer_id", th.IntegerType),\n', '        th.Property("subject", th.StringType),\n'),
    ('        th.Property("total", th.NumberType),\n', ""),
    ('total_pages_at="$.meta.pages"', 'total_pages_at="$.pages"'),
    ("import Customers, Orders", "import Tickets"),
    ("return [Customers(self), Orders(self)]", "return [Tickets(self)]"),
]
TICKETS = [
    {"id": number, "subject": f"No. {number}", "status": "open", "changed": f"2024-03-{number:02}T12:00:00Z"}
    for number in range(1, 8)
]


def helpdesk(request):
    if request.headers.get("authorization") != "Bearer s3cret" or request.path != "/tickets.json":
        return None
    found = [ticket for ticket in TICKETS if ticket["changed"] >= request.query.get("changed_from", "")]
    first = (int(request.query["page"]) - 1) * 3
    return Response({"tickets": found[first : first + 3], "pages": -(-len(found) // 3)})


def test_a_tap_with_auth_pages_and_state_takes_fifteen_lines(tmp_path):
    project = scaffolded.make("tap", {"source": "rest", "auth": "bearer", "paging": "page"}, "desk", tmp_path)
    written = 0
    for path in (project / "tap_desk/streams.py", project / "tap_desk/tap.py"):
        before = path.read_text()
        after = re.sub(r"class Customers\(API\):.*?\n\n\n", "", before, flags=re.DOTALL)
        for old, new_text in EDITS:
            after = after.replace(old, new_text)
        path.write_text(after)
        written += sum(line.startswith("+ ") for line in difflib.ndiff(before.splitlines(), after.splitlines()))
    assert 10 <= written <= 15
    with FakeServer(helpdesk) as server:
        (project / "config.json").write_text(json.dumps({"api_url": server.url, "token": "s3cret"}))
        first = records_of(project, {})
        second = records_of(project, {"replication_key": "changed", "replication_key_value": "2024-03-06T12:00:00Z"})
    assert [record["id"] for record in first] == [1, 2, 3, 4, 5, 6, 7]
    assert [record["id"] for record in second] == [6, 7]


def records_of(project, bookmark):
    (project / "state.json").write_text(json.dumps({"bookmarks": {"tickets": bookmark}}))
    words = [sys.executable, "-m", "tap_desk", "--config", "config.json", "--state", "state.json"]
    messages = map(json.loads, scaffolded.run(words, project).splitlines())
    return [message["record"] for message in messages if message["type"] == "RECORD"]
