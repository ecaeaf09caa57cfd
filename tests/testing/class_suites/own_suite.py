"""Tests that an author adds, and what goes wrong."""

import json
from pathlib import Path

import pytest
from shop import TapShop, TargetLines

from singerkit_testing import SuiteConfig, get_tap_test_class, get_target_test_class
from singerkit_testing.suites import SingerTestSuite, TestSuite
from singerkit_testing.target_tests import TargetArrayData
from singerkit_testing.templates import AttributeTestTemplate, TapTestTemplate, TargetFileTestTemplate

QUIET = SuiteConfig(conformance=False)


class NumberOfOrders(TapTestTemplate):
    """An own test of a tap."""

    name = "number_of_orders"

    def test(self):
        assert len(self.runner.records["orders"]) == self.tap.config["orders"] == self.resource


class Cheap(AttributeTestTemplate):
    """An own test of a property."""

    name = "is_cheap"

    def test(self):
        assert max(self.non_null_attribute_values) < 0.1

    @classmethod
    def evaluate(cls, stream, property_name, property_schema):
        return property_name == "price"


class ArrayRows(TargetArrayData):
    """A test of the harness that also looks at what was stored."""

    def validate(self):
        lines = (Path(self.runner.config["folder"]) / "test_array_data.jsonl").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == [1, 2, 3, 4]


class OwnFile(TargetFileTestTemplate):
    """An own file of messages."""

    name = "own_file"

    @property
    def singer_filepath(self):
        return Path(__file__).parent / "own.singer"

    def validate(self):
        assert [json.loads(line) for line in self.runner.state_messages] == [{"done": 1}]


class TestOwnTap(
    get_tap_test_class(
        TapShop,
        config={"orders": 3, "twice": True},
        custom_suites=[
            SingerTestSuite(kind="tap", tests=[NumberOfOrders]),
            TestSuite(kind="tap_stream_attribute", tests=[Cheap]),
        ],
        suite_config=QUIET,
        parse_env_config=False,
    )
):
    @pytest.fixture
    def resource(self):
        return 3


class Local:
    """Not a module's own."""

    class TapInside(TapShop):
        """A tap that no other process can import."""


TestInside = get_tap_test_class(
    Local.TapInside,
    config={"no_countries": True},
    include_stream_attribute_tests=False,
    suite_config=SuiteConfig(rules=["TAP-001"], ignore_no_records_for_streams=["countries"]),
)
TestOwnTarget = get_target_test_class(
    TargetLines,
    config={"folder": "{workdir}"},
    custom_suites=[SingerTestSuite(kind="target", tests=[ArrayRows, OwnFile])],
    include_target_tests=False,
    suite_config=QUIET,
)
TestNowhere = get_target_test_class(
    TargetLines, config={"folder": "."}, include_target_tests=False, suite_config=SuiteConfig(rules=["TGT-001"])
)
