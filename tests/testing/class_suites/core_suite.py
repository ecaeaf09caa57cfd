"""What an author's test module looks like."""

from shop import TapShop, TargetLines

from singerkit_testing import SuiteConfig, get_tap_test_class, get_target_test_class

SAMPLE = {"orders": 3}

TestTapShop = get_tap_test_class(
    tap_class=TapShop, config=SAMPLE, suite_config=SuiteConfig(max_records_limit=2, rules=["TAP-00[1-5]"])
)
TestTargetLines = get_target_test_class(
    target_class=TargetLines,
    config={"folder": "{workdir}"},
    suite_config=SuiteConfig(reader="{workdir}", rules=["TGT-00[1-3]"]),
)
