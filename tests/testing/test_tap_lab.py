from __future__ import annotations

import json

import pytest

from singerkit_testing.errors import HarnessError
from singerkit_testing.rules import NotApplicable
from singerkit_testing.tap_lab import TapLab


@pytest.fixture
def lab(tap):
    with TapLab(tap, {"key": "v"}) as opened:
        yield opened


def test_a_full_sync_has_everything_selected(lab):
    assert lab.full.ok
    assert "selected True" in lab.full.errors
    assert [record.record["id"] for record in lab.full.transcript.records] == [1, 2, 3]
    assert lab.synced is lab.full
    assert lab.streams == ["people"]
    assert lab.key_properties("people") == ("id",)
    assert lab.hollow == ()


def test_runs_that_many_rules_share_are_made_once(lab):
    assert lab.full is lab.full
    assert lab.again is not lab.full
    assert lab.resumed({"after": 2}) is lab.resumed({"after": 2})
    assert [record.record["id"] for record in lab.resumed({"after": 2}).transcript.records] == [3]


def test_a_catalog_may_be_changed_by_its_user(lab):
    lab.catalog["streams"].clear()
    assert lab.discovered["streams"]


def test_what_a_run_was_given(lab):
    run = lab.run(config={"broken": True}, state=b"{nope", catalog={"streams": []})
    assert not run.ok
    assert json.loads((run.folder / "config.json").read_bytes()) == {"broken": True}
    assert (run.folder / "state.json").read_bytes() == b"{nope"
    assert json.loads((run.folder / "catalog.json").read_bytes()) == {"streams": []}
    assert list(run.work.iterdir()) == []
    assert lab.run(config=None).last_words() == "no usable config"


def test_a_state_may_be_null(lab):
    assert (lab.run(state=None).folder / "state.json").read_bytes() == b"null"
    assert not (lab.run().folder / "state.json").exists()


def test_abilities_are_declared_or_seen(tap):
    with TapLab(tap, {}, abilities=["unsorted"], broken_configs=[{"broken": True}], expect={"streams": ["x"]}) as lab:
        assert lab.abilities >= {"unsorted", "broken_config", "expect", "catalog", "state"}
        assert "mutate_source" not in lab.abilities


def test_what_a_tap_says_about_itself(script):
    about = {"name": "tap-x", "capabilities": ["activate-version"], "settings": {"properties": {"url": {}}}}
    tap = script(f"import sys; print('''{json.dumps(about)}''' if '--about' in sys.argv else '')")
    with TapLab(tap, {}) as lab:
        assert lab.about == about
        assert lab.settings == {"url": {}}
        assert "activate_version" in lab.abilities


def test_an_old_tap_gets_its_catalog_as_properties(script):
    code = """
    import json, sys
    if "--help" in sys.argv:
        print("usage: tap --config FILE --properties FILE")
    elif "--discover" in sys.argv:
        print(json.dumps({"streams": [{"stream": "a", "tap_stream_id": "a", "schema": {}}]}))
    else:
        print(json.dumps({"type": "STATE", "value": sys.argv[3]}))
    """
    with TapLab(script(code), {}) as lab:
        assert lab.full.transcript.last_state.state == "--properties"


def test_a_tap_that_ignores_its_catalog_gets_it_as_properties(script):
    code = """
    import json, sys
    if "--help" in sys.argv:
        print("usage: tap --config FILE --catalog FILE --properties FILE")
    elif "--discover" in sys.argv:
        print(json.dumps({"streams": [{"stream": "a", "tap_stream_id": "a", "schema": {}}]}))
    elif "--properties" in sys.argv:
        print(json.dumps({"type": "RECORD", "stream": "a", "record": {}}))
    """
    with TapLab(script(code), {}) as lab:
        assert len(lab.full.transcript.records) == 1
        assert lab.ignores_catalog


def test_a_tap_without_discovery_is_synced_without_a_catalog(script):
    code = """
    import json, sys
    if "--discover" in sys.argv: sys.exit(2)
    print(json.dumps({"type": "RECORD", "stream": "a", "record": {"n": len(sys.argv)}}))
    """
    with TapLab(script(code), {}) as lab:
        assert lab.catalog is None
        assert lab.full.transcript.records[0].record == {"n": 3}
        assert lab.streams == ["a"]
        with pytest.raises(NotApplicable, match="discovery gave no catalog"):
            _ = lab.discovered


@pytest.mark.parametrize(
    ("code", "said"),
    [("raise SystemExit(1)", "failed: exit code 1"), ("pass", "gave no message"), ("print('x')", "gave no message")],
)
def test_rules_about_a_good_sync_do_not_apply_to_a_bad_one(script, code, said):
    with TapLab(script(code), {}) as lab, pytest.raises(NotApplicable, match=said):
        _ = lab.synced


def test_a_tap_that_hangs_is_not_tried_for_ever(script):
    with TapLab(script("import time; time.sleep(60)"), {}, timeout_s=0.2) as lab:
        for _ in range(4):
            assert lab.run().timed_out
        with pytest.raises(HarnessError, match="not run any more: 4 runs exceeded the time limit"):
            lab.run()


def test_a_sync_can_be_started_and_killed(script):
    endless = script("import sys\nwhile '--discover' not in sys.argv: print('{}')")
    with TapLab(endless, {}) as lab, lab.start_sync(pause_after_bytes=200) as running:
        assert running.wait_until(lambda: len(running.stdout) == 200)
        running.kill()
        assert running.finish().exit_code == -9


def test_configs(tap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").touch()
    (tmp_path / "config.json").write_text('{"path": "people.csv", "out": "{workdir}/x"}')
    with TapLab(tap, "config.json") as lab:
        given = json.loads((lab.full.folder / "config.json").read_bytes())
        assert given == {"path": str(tmp_path / "people.csv"), "out": f"{lab.full.work}/x"}


@pytest.mark.parametrize(("content", "said"), [(None, "can't be read"), ("{", "is no JSON"), ("[]", "no object")])
def test_a_config_that_can_not_be_used(tap, tmp_path, content, said):
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(HarnessError, match=said):
        TapLab(tap, path)
