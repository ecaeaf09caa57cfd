"""The names that existing test suites use are here: what they import from `singer_sdk.testing`, and its parameters.

Which names these are was found out by reading the tests of published connectors; a suite moves by changing the package
in its imports.
"""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from singerkit_testing import SuiteConfig

IMPORTED = {
    "": [
        "SingerTestRunner", "SuiteConfig", "TapTestRunner", "TargetTestRunner", "get_standard_tap_tests",
        "get_standard_target_tests", "get_tap_test_class", "get_target_test_class", "suites", "sync_end_to_end",
        "tap_sync_test", "tap_to_target_sync_test", "target_sync_test",
    ],
    "legacy": ["get_standard_tap_tests"],
    "runners": ["SingerTestRunner", "TapTestRunner", "TargetTestRunner"],
    "suites": [
        "SingerTestSuite", "TestSuite", "tap_stream_attribute_tests", "tap_stream_tests", "tap_tests", "target_tests",
    ],
    "templates": [
        "AttributeTestTemplate", "StreamTestTemplate", "TapTestTemplate", "TargetFileTestTemplate",
        "TargetTestTemplate", "TestTemplate",
    ],
}  # fmt: skip

# The tests by what the suites call them: their classes, to be subclassed, and the names that pytest shows and selects.
BUILT_IN = {
    "tap_tests": {
        "TapCLIPrintsTest": "cli_prints",
        "TapDiscoveryTest": "discovery",
        "TapStreamConnectionTest": "stream_connections",
        "TapValidFinalStateTest": "valid_final_state",
        "StreamSchemaIsValidTest": "schema_is_valid",
        "StreamReturnsRecordTest": "returns_record",
        "StreamCatalogSchemaMatchesRecordTest": "transformed_catalog_schema_matches_record",
        "StreamRecordSchemaMatchesCatalogTest": "record_schema_matches_transformed_catalog",
        "StreamRecordMatchesStreamSchema": "record_matches_stream_schema",
        "StreamPrimaryKeysTest": "primary_keys",
        "AttributeIsDateTimeTest": "is_datetime",
        "AttributeIsBooleanTest": "is_boolean",
        "AttributeIsObjectTest": "is_object",
        "AttributeIsIntegerTest": "is_integer",
        "AttributeIsNumberTest": "is_numeric",
        "AttributeNotNullTest": "not_null",
    },
    "target_tests": {
        "TargetArrayData": "array_data",
        "TargetCamelcaseComplexSchema": "camelcase_complex_schema",
        "TargetCamelcaseTest": "camelcase",
        "TargetCliPrintsTest": "cli_prints",
        "TargetDuplicateRecords": "duplicate_records",
        "TargetEncodedStringData": "encoded_string_data",
        "TargetInvalidSchemaTest": "invalid_schema",
        "TargetMultipleStateMessages": "multiple_state_messages",
        "TargetNoPrimaryKeys": "no_primary_keys",
        "TargetOptionalAttributes": "optional_attributes",
        "TargetRecordBeforeSchemaTest": "record_before_schema",
        "TargetRecordMissingKeyProperty": "record_missing_key_property",
        "TargetRecordMissingRequiredProperty": "record_missing_required_property",
        "TargetSchemaNoProperties": "schema_no_properties",
        "TargetSchemaUpdates": "schema_updates",
        "TargetPrimaryKeyUpdates": "pk_updates",
        "TargetSpecialCharsInAttributes": "special_chars_in_attributes",
        "TargetRecordMissingOptionalFields": "record_missing_fields",
    },
}

# What is passed, in this order; there may be more. `**` where the rest goes on to the connector.
PARAMETERS = {
    "get_tap_test_class": (
        "tap_class", "config", "include_tap_tests", "include_stream_tests", "include_stream_attribute_tests",
        "custom_suites", "suite_config", "**kwargs",
    ),
    "get_target_test_class": (
        "target_class", "config", "custom_suites", "suite_config", "include_target_tests", "**kwargs",
    ),
    "get_standard_tap_tests": ("tap_class", "config"),
    "get_standard_target_tests": ("target_class", "config"),
    "tap_sync_test": ("tap",),
    "target_sync_test": ("target", "input", "finalize"),
    "tap_to_target_sync_test": ("tap", "target"),
    "sync_end_to_end": ("tap", "target", "*mappers"),
    "TapTestRunner": ("tap_class", "config", "suite_config", "**kwargs"),
    "TargetTestRunner": ("target_class", "config", "suite_config", "input_filepath", "input_io", "**kwargs"),
}  # fmt: skip

# What own tests read and override.
MEMBERS = {
    "TestTemplate": ["name", "id", "setup", "test", "validate", "teardown", "run"],
    "StreamTestTemplate": ["ignore_no_records"],
    "AttributeTestTemplate": ["evaluate", "non_null_attribute_values"],
    "TargetFileTestTemplate": ["singer_filepath"],
    "TapTestRunner": ["create", "new_tap", "run_connection_test", "run_discovery", "run_sync_dry_run", "sync_all"],
    "TargetTestRunner": ["create", "new_target", "sync_all", "target_input"],
}


def of(name: str, module: str = "") -> object:
    """Import a name as a suite does: ``from singerkit_testing.module import name``."""
    path = f"singerkit_testing.{module}".rstrip(".")
    found = getattr(import_module(path), name, None)
    return import_module(f"{path}.{name}") if found is None else found


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in IMPORTED for name in IMPORTED[module]])
def test_a_name_that_suites_import_is_there(module, name):
    assert of(name, module) is not None


@pytest.mark.parametrize(
    ("module", "kind", "name"), [(module, kind, name) for module in BUILT_IN for kind, name in BUILT_IN[module].items()]
)
def test_a_built_in_test_has_its_name(module, kind, name):
    assert of(kind, module).name == name


@pytest.mark.parametrize("function", PARAMETERS)
def test_parameters_have_their_names(function):
    given = inspect.signature(of(function)).parameters.values()
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}

    names = [marks.get(each.kind, "") + each.name for each in given]
    assert tuple(name for name in names if name in PARAMETERS[function]) == PARAMETERS[function]


@pytest.mark.parametrize("kind", MEMBERS)
def test_members_have_their_names(kind):
    assert [name for name in MEMBERS[kind] if not hasattr(of(kind), name)] == []


def test_a_config_of_a_suite_is_made_by_position():
    config = SuiteConfig(10, True, ["orders"])

    assert (config.max_records_limit, config.ignore_no_records) == (10, True)
    assert config.ignore_no_records_for_streams == ["orders"]


def test_a_runner_keeps_what_was_written_under_the_known_names():
    runner = of("TapTestRunner")(object)

    kept = (runner.raw_messages, runner.schema_messages, runner.record_messages, runner.state_messages, runner.records)
    assert not any(kept)


def test_a_test_that_says_nothing_else_runs_the_connector():
    class Runner:
        runs = 0

        def sync_all(self):
            self.runs += 1

        def new_target(self):
            return self

    runner = Runner()

    class Validating(of("TargetTestTemplate")):
        name = "validating"

        def validate(self):
            assert self.runner.runs == 1

    Validating().run(SuiteConfig(), None, runner)
    assert runner.runs == 1
