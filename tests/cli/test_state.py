"""`singerkit state`, as it is typed."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from singerkit.cli.verbs import verbs
from singerkit.runner.store.open import open_store

ORDERS = {"replication_key": "updated_at", "replication_key_value": "2024-05-01"}
BOTH = {"bookmarks": {"orders": ORDERS, "customers": {**ORDERS, "replication_key_value": "2024-04-01"}}}
ONE = {"bookmarks": {"orders": {**ORDERS, "replication_key_value": "2024-06-01"}}}


class Done(NamedTuple):
    code: int
    out: str
    said: str

    @property
    def json(self):
        assert self.code == 0, self.said
        return json.loads(self.out)


@pytest.fixture
def state(tmp_path, monkeypatch, capsys, caplog):
    """Give a function that runs `singerkit state` in an empty folder, with a user's folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    caplog.set_level(logging.WARNING)

    def run(*words, stdin=""):
        stdin = stdin if isinstance(stdin, str) else json.dumps(stdin)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        caplog.clear()
        with pytest.raises(SystemExit) as ended:
            verbs.main(["state", *words], "singerkit")
        captured = capsys.readouterr()
        return Done(ended.value.code or 0, captured.out, captured.err + caplog.text)

    return run


@pytest.fixture
def shop(state):
    """Give the same with a state of two streams under `shop`."""
    assert state("set", "shop", "-", stdin=BOTH).code == 0
    return state


def test_a_state_is_set_and_shown(state):
    done = state("set", "shop", "-", stdin=BOTH)
    assert done.out == (
        "shop: no state -> revision 1\n"
        "  stream 'orders': nothing -> 2024-05-01\n"
        "  stream 'customers': nothing -> 2024-04-01\n"
    )
    assert json.loads(state("show", "shop").out) == BOTH
    assert "revision 1, 2" in state("show", "shop").said
    assert state("show", "shop", "--stream", "orders").json == ORDERS
    shown = state("show", "shop", "--json").json
    assert (shown["key"], shown["revision"], shown["by"], shown["state"]) == ("shop", 1, "set", BOTH)
    assert Path("home/singerkit/state.db").exists()


def test_a_state_is_set_in_place_of_another_or_merged_into_it(shop):
    Path("one.json").write_text(json.dumps(ONE))
    done = shop("set", "shop", "one.json", "--merge", "--json").json
    assert done == {
        "key": "shop",
        "revision_before": 1,
        "revision_after": 2,
        "changes": ["stream 'orders': 2024-05-01 -> 2024-06-01"],
    }
    assert list(shop("export", "shop").json["bookmarks"]) == ["orders", "customers"]
    assert "undo: singerkit state restore shop 2" in shop("set", "shop", "one.json").out
    assert shop("export", "shop").json == ONE


def test_the_last_line_of_what_a_target_wrote_is_its_state(state):
    lines = "\n".join(map(json.dumps, [BOTH, ONE])) + "\n"
    assert state("set", "shop", "-", stdin=lines).code == 0
    assert state("export", "shop").json == ONE


def test_states_are_listed(shop):
    shop("set", "prod:value", "-", stdin={"last": 1})
    head, *rows = shop("list").out.splitlines()
    assert head.split() == ["key", "revision", "at", "by", "streams"]
    assert [[row.split()[at] for at in (0, 1, 3, 4)] for row in rows] == [
        ["prod:value", "1", "set", "-"],
        ["shop", "1", "set", "2"],
    ]
    assert [entry["key"] for entry in shop("list", "prod:", "--json").json] == ["prod:value"]


def test_one_stream_is_cleared_or_all(shop):
    assert "stream 'orders': 2024-05-01 -> nothing" in shop("clear", "shop", "--stream", "orders").out
    assert list(shop("export", "shop").json["bookmarks"]) == ["customers"]
    done = shop("clear", "shop")
    assert done.out.startswith("shop: revision 2 -> no state\n")
    assert "undo: singerkit state restore shop 2" in done.out
    assert shop("list").out == ""
    done = shop("show", "shop")
    assert (done.code, done.out) == (2, "")
    assert "no state 'shop' any more: its last one was revision 2" in done.said


def test_what_units_left_is_cleared_with_their_pipeline(shop):
    unit, other = "shop#orders-4f1c", "shop-2#orders-4f1c"
    for key in (unit, other):
        assert shop("set", key, "-", stdin=BOTH).code == 0
    assert shop("clear", "shop", "--stream", "orders").code == 0
    assert list(shop("export", unit).json["bookmarks"]) == ["customers"]
    assert list(shop("export", other).json["bookmarks"]) == ["orders", "customers"]
    assert shop("clear", "shop").code == 0
    assert [row.split()[0] for row in shop("list").out.splitlines()[1:]] == [other]
    assert shop("set", unit, "-", stdin=BOTH).code == 0
    assert shop("clear", "shop").code == 0
    assert shop("show", unit).code == 2
    assert shop("clear", "shop").code == 2


def test_an_old_revision_is_restored(shop):
    shop("set", "shop", "-", stdin=ONE)
    shop("clear", "shop")
    assert shop("restore", "shop", "1").out.startswith("shop: no state -> revision 4\n")
    assert shop("export", "shop").json == BOTH
    head, *rows = shop("history", "shop").out.splitlines()
    assert head.split() == ["revision", "at", "by", "changed"]
    assert [(row.split()[0], row.split()[2]) for row in rows] == [("4", "restore"), ("2", "set"), ("1", "set")]
    assert [entry["revision"] for entry in shop("history", "shop", "--json", "--limit", "2").json] == [4, 2]
    assert shop("show", "shop", "--revision", "2").json == ONE
    done = shop("restore", "shop", "9")
    assert (done.code, "no state of revision 9; it has 1-2, 4" in done.said) == (2, True)


def test_old_revisions_are_forgotten_when_asked(shop):
    for _ in range(3):
        shop("set", "shop", "-", stdin=ONE)
    assert shop("prune", "--keep", "2").out == "shop: 2 revisions forgotten\n"
    assert [entry["revision"] for entry in shop("history", "shop", "--json").json] == [4, 3]
    assert shop("prune", "shop", "--keep", "1", "--json").json == {"shop": 1}
    assert shop("export", "shop").json == ONE
    done = shop("prune", "shpo", "--keep", "1")
    assert (done.code, "did you mean 'shop'" in done.said) == (2, True)
    assert shop("prune", "shop", "--keep", "0").code == 2


def test_a_state_is_copied_and_moved(shop):
    assert shop("cp", "shop", "other").code == 0
    done = shop("mv", "shop", "other")
    assert (done.code, "'other' has a state already (revision 1): use --replace" in done.said) == (2, True)
    assert shop("mv", "shop", "third").out.startswith("third: no state -> revision 1\n")
    assert [entry["key"] for entry in shop("list", "--json").json] == ["other", "third"]
    assert shop("export", "third").json == BOTH
    assert "can't be moved to itself" in shop("mv", "third", "third").said
    assert shop("cp", "third", "other", "--replace").code == 0


def test_all_states_are_exported_and_imported_elsewhere(shop):
    shop("set", "value", "-", stdin={"last": 1.50, "big": 12345678901234567890123})
    assert shop("export", "--output", "all.json").out == ""
    elsewhere = ("--state-url", "sqlite:///elsewhere.db")
    assert shop("import", "all.json", *elsewhere).code == 0
    assert shop("export", *elsewhere).out == Path("all.json").read_text()
    done = shop("import", "all.json", *elsewhere)
    assert (done.code, "states already of shop, value; nothing was imported" in done.said) == (2, True)
    assert shop("import", "all.json", "--replace", *elsewhere).code == 0
    renamed = shop("import", "all.json", "--only", "s*", "--rename", "shop=new", *elsewhere, "--json")
    assert renamed.json["key"] == "new"


def test_a_state_that_a_run_holds_is_not_changed_unless_by_force(shop):
    with closing(open_store(f"sqlite:///{Path.cwd()}/home/singerkit/state.db")) as store:
        store.acquire("shop", "host:1:the-run", 600)
    for words in (["clear", "shop"], ["set", "shop", "-"], ["restore", "shop", "1"], ["mv", "shop", "x"]):
        done = shop(*words, stdin=ONE)
        assert (done.code, done.out) == (75, "")
        assert "'shop' is held by host:1:the-run, until 2" in done.said
    assert shop("export", "shop").json == BOTH
    assert shop("clear", "shop", "--force").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "shpo"], "there is no state 'shpo'; did you mean 'shop'?"),
        (["show", "nothing-like-it"], "; there are shop"),
        (["show", "shop", "--stream", "order"], "no bookmark of stream 'order'; did you mean 'orders'?"),
        (["show", "shop", "--revision", "7"], "no state of revision 7; it has 1"),
        (["clear", "shop", "--stream", "x"], "has no bookmark of stream 'x'; it has orders, customers"),
        (["history", "none"], "there is no state 'none'"),
        (["restore", "none", "1"], "'none' has no state of revision 1; it never had one"),
        (["set", "shop", "missing.json"], "'missing.json' can't be read: No such file or directory"),
        (["set", "shop", "-"], "stdin is empty: it holds no state"),
        (["import", "-"], "stdin is empty"),
        (["export", "shop", "--output", "none/x"], "'none/x' can't be written"),
        (["list", "--state-url", "sqlit:///x"], "did you mean 'sqlite'?"),
        (["list", "--state-url", "x.db"], "has to be a URL"),
        (["list", "--env", "prod"], "--env needs a singer.toml"),
        (["show", " "], "can't be a state key"),
    ],
)
def test_a_mistake_gets_one_clear_error(shop, words, said):
    done = shop(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.said
    assert shop("export", "shop").json == BOTH


@pytest.mark.parametrize("content", ["[1]", "nonsense", "{}\nnonsense\n", '{"type": "STATE"}', "null", '"text"'])
def test_what_is_no_state_is_not_set(shop, content):
    assert shop("set", "shop", "-", stdin=content).code == 2
    assert shop("export", "shop").json == BOTH


def test_a_damaged_store_is_not_an_empty_one(state):
    Path("state.db").write_bytes(b"")
    done = state("list", "--state-url", "sqlite:///state.db")
    assert (done.code, done.out) == (2, "")
    assert "is an empty file, so what it held is lost" in done.said


def test_a_pipeline_of_the_project_stands_for_its_key_and_its_store(state):
    Path("singer.toml").write_text(
        "[taps.tap-x]\ncommand = 'tap-x'\n[targets.target-y]\ncommand = 'target-y'\n"
        "[pipelines.orders]\ntap = 'tap-x'\ntarget = 'target-y'\nstate_key = 'the-orders'\n"
        "[env.prod.state]\n"
    )
    assert state("set", "orders", "-", stdin=ONE).out.startswith("the-orders: no state")
    assert state("set", "orders", "-", "--env", "prod", stdin=BOTH).out.startswith("prod:the-orders: no state")
    assert [entry["key"] for entry in state("list", "--json").json] == ["prod:the-orders", "the-orders"]
    assert state("export", "orders").json == ONE
    assert Path(".singerkit/state.db").exists()
    assert not Path("home").exists()
