"""The tests of a mapper class, with one of the author's own."""

import pytest
from upper import MapperUpper

from singerkit_testing import MapperTestTemplate, SuiteConfig, get_mapper_test_class
from singerkit_testing.suites import SingerTestSuite

ORDERS = [{"type": "RECORD", "stream": "orders", "record": {"id": number, "text": "late"}} for number in (1, 2)]


class LeavesOddOnesOut(MapperTestTemplate):
    """An own test of a mapper."""

    name = "leaves_odd_ones_out"

    def test(self):
        assert [message["record"] for message in self.runner.map(ORDERS)] == [{"id": 2, "text": "LATE"}]


class Greedy(MapperTestTemplate):
    """An own test that fails."""

    name = "keeps_all"

    def test(self):
        assert len(self.runner.map(ORDERS)) == 2


TestMapperUpper = get_mapper_test_class(
    MapperUpper,
    custom_suites=[SingerTestSuite(kind="mapper", tests=[LeavesOddOnesOut, Greedy])],
    suite_config=SuiteConfig(rules=["EXT-012a", "EXT-012b", "TAP-001"]),
)


class TestAfterwards(get_mapper_test_class(MapperUpper, suite_config=SuiteConfig(conformance=False))):
    """What the runner keeps."""

    @pytest.fixture(autouse=True)
    def ran(self, runner):
        runner.map(ORDERS)

    def test_records_are_kept_by_stream(self, runner):
        assert {"id": 2, "text": "LATE"} in runner.records["orders"]
