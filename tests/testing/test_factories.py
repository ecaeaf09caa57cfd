from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import singerkit_testing
from singerkit_testing import (
    SuiteConfig,
    TapTestRunner,
    TargetTestRunner,
    get_standard_tap_tests,
    get_standard_target_tests,
    sync_end_to_end,
    target_sync_test,
)
from singerkit_testing.class_commands import command_of
from singerkit_testing.suites import target_tests

SUITES = Path(__file__).parent / "class_suites"
CONTENT = (
    '{"type":"SCHEMA","stream":"s","schema":{"type":"object","properties":{"id":{"type":"integer"}}},'
    '"key_properties":["id"]}\n{"type":"RECORD","stream":"s","record":{"id":1}}\n{"type":"STATE","value":{"s":1}}\n'
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Run the authors' test modules once; give each test's outcome by its name."""
    folder = tmp_path_factory.mktemp("project")
    for file in SUITES.glob("*.*"):  # under these names they are not tests of this project
        shutil.copy(file, folder / (f"test_{file.name}" if file.stem.endswith("suite") else file.name))
    words = ["-m", "pytest", "-v", "-rs", "-W", "error", "-p", "no:cacheprovider", "-p", "singerkit_testing.plugin"]
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TAP_SHOP_TOKEN": "t0p-s3cret"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    found = re.findall(r"^\S+\.py::(\S+) (PASSED|FAILED|SKIPPED|ERROR)", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return dict(found) | {"output": done.stdout}


@pytest.fixture
def shop(monkeypatch):
    """Import the author's module."""
    monkeypatch.syspath_prepend(str(SUITES))
    import shop

    return shop


def names_of(outcomes, verdict):
    return {name for name, said in outcomes.items() if said == verdict}


def test_the_names_are_those_that_authors_know(outcomes):
    shop = "TestTapShop::test_tap"
    assert {
        f"{shop}_cli_prints",
        f"{shop}_discovery",
        f"{shop}_stream_connections",
        f"{shop}_valid_final_state",
        f"{shop}_stream_returns_record[orders]",
        f"{shop}_stream_record_schema_matches_transformed_catalog[countries]",
        f"{shop}_stream_primary_keys[orders]",
        f"{shop}_stream_attribute_is_datetime[orders.changed_at]",
        f"{shop}_stream_attribute_is_numeric[orders.price]",
        f"{shop}_stream_attribute_is_boolean[orders.paid]",
        f"{shop}_stream_attribute_is_object[orders.address]",
        f"{shop}_stream_attribute_not_null[countries.code]",
        "TestTapShop::test_conformance[TAP-001]",
        "TestTargetLines::test_target_schema_updates",
        "TestTargetLines::test_target_cli_prints",
        "TestTargetLines::test_conformance[TGT-001]",
        "TestMapperUpper::test_mapper_cli_prints",
        "TestMapperUpper::test_mapper_maps",
        "TestMapperUpper::test_mapper_leaves_odd_ones_out",
        "TestMapperUpper::test_conformance[EXT-012a]",
        "TestMapperUpper::test_conformance[TAP-001]",
        "TestAfterwards::test_records_are_kept_by_stream",
    } <= names_of(outcomes, "PASSED")


def test_only_what_is_wrong_fails(outcomes):
    assert names_of(outcomes, "FAILED") | names_of(outcomes, "ERROR") == {
        "TestOwnTap::test_tap_stream_primary_keys[countries]",
        "TestOwnTap::test_tap_stream_attribute_is_cheap[orders.price]",
        "TestMapperUpper::test_mapper_keeps_all",
    }


def test_an_authors_own_tests_see_what_they_need(outcomes):
    assert {
        "TestOwnTap::test_tap_number_of_orders",
        "TestOwnTarget::test_target_array_data",
        "TestOwnTarget::test_target_own_file",
    } <= names_of(outcomes, "PASSED")


def test_what_can_not_be_judged_is_skipped_with_the_reason(outcomes):
    assert {
        "TestInside::test_conformance[TAP-001]",
        "TestInside::test_tap_stream_returns_record[countries]",
        "TestNowhere::test_conformance[TGT-001]",
    } <= names_of(outcomes, "SKIPPED")
    output = " ".join(outcomes["output"].split())
    assert "has to stand at the top of its module" in output
    assert "where the rules may load is not said" in output


def test_every_name_is_exported():
    for name in singerkit_testing.__all__:
        assert getattr(singerkit_testing, name).__name__
    with pytest.raises(AttributeError, match="no 'nothing'"):
        singerkit_testing.nothing  # noqa: B018


def test_a_tap_runner_keeps_what_the_tap_wrote(shop):
    runner = TapTestRunner(shop.TapShop, {"orders": 9}, SuiteConfig(max_records_limit=4))

    runner.sync_all()

    assert [record["id"] for record in runner.records["orders"]] == [1, 2, 3, 4]
    assert {message["stream"] for message in runner.schema_messages} == {"orders", "countries"}
    assert runner.raw_messages[-1] == {"type": "STATE", "value": runner.state_messages[-1]}
    assert runner.run_connection_test()
    assert runner.run_sync_dry_run()
    assert "orders" in runner.run_discovery()


def test_without_a_limit_everything_is_read(shop):
    runner = TapTestRunner(shop.TapShop, {"orders": 9}, SuiteConfig(max_records_limit=None))
    runner.sync_all()
    assert len(runner.records["orders"]) == 9


def test_the_streams_of_this_process_stay_as_they_were(shop, capfd):
    before = sys.stdout, sys.stderr
    TapTestRunner(shop.TapShop).sync_all()
    assert (sys.stdout, sys.stderr) == before
    print("still here")
    assert capfd.readouterr() == ("still here\n", "")


def test_a_target_runner_loads_text_or_a_file(shop, tmp_path):
    file = tmp_path / "in.singer"
    file.write_text(CONTENT)
    for given in ({"input_io": io.StringIO(CONTENT)}, {"input_filepath": file}):
        runner = TargetTestRunner(shop.TargetLines, {"folder": "{workdir}"}, **given)
        runner.sync_all()
        assert json.loads(runner.state_messages[-1]) == {"s": 1}
        assert json.loads((runner.folder / "s.jsonl").read_text()) == {"id": 1}


def test_a_target_that_fails_raises(shop, tmp_path):
    target = shop.TargetLines(config={"folder": str(tmp_path)})
    with pytest.raises(Exception, match="s"):
        target_sync_test(target, io.StringIO(CONTENT.partition("\n")[2]))


def test_runs_of_objects(shop, tmp_path):
    out, _ = target_sync_test(shop.TargetLines(config={"folder": str(tmp_path)}), io.StringIO(CONTENT))
    assert json.loads(out.read()) == {"s": 1}

    sync_end_to_end(shop.TapShop(), shop.TargetLines(config={"folder": str(tmp_path)}))
    assert len((tmp_path / "orders.jsonl").read_text().splitlines()) == 3


def test_the_older_lists_of_tests(shop):
    tests = get_standard_tap_tests(shop.TapShop, config={"orders": 2})
    assert [test.__name__ for test in tests][:2] == ["_test_cli_prints", "_test_discovery"]
    for test in tests:
        test()
    assert get_standard_target_tests(shop.TargetLines) == []


def test_every_file_test_has_its_messages():
    for test in target_tests.tests:
        path = getattr(test(), "singer_filepath", None)
        assert path is None or path.read_text().count("\n") >= 1


def test_a_module_that_has_no_importable_name_is_run_from_its_file(tmp_path, shop):
    code = command_of(shop.TapShop)[-1]
    assert code == "from shop import TapShop; TapShop.cli()"

    moved = type("TapShop", (shop.TapShop,), {"__module__": "moved"})
    sys.modules["moved"] = sys.modules["shop"]
    try:
        words = command_of(moved)
    finally:
        del sys.modules["moved"]
    done = subprocess.run([*words, "--version"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("tap-shop"), done.stderr
