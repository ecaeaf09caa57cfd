from copy import deepcopy

import jsonschema_rs
import pytest

from singerkit.config.settings import PluginCapabilities, TapCapabilities, TargetCapabilities, settings_schema

OWN = {"type": "object", "properties": {"api_key": {"type": "string"}}, "required": ["api_key"]}
MAPS_AND_FLATTENING = {
    "stream_maps",
    "stream_map_config",
    "faker_config",
    "flattening_enabled",
    "flattening_max_depth",
    "flattening_max_key_length",
    "flattening_separator",
}
LIMITS = {"max_line_mb", "max_nesting_depth", "max_digits"}


def added(capabilities, **keywords):
    return set(settings_schema(OWN, capabilities, **keywords)["properties"]) - {"api_key"}


def test_a_tap_gets_its_settings():
    capabilities = [*TapCapabilities, PluginCapabilities.STREAM_MAPS, PluginCapabilities.FLATTENING, "batch"]
    assert added(capabilities) == MAPS_AND_FLATTENING | {
        "max_concurrency",
        "emit_activate_version_messages",
        "batch_config",
    }


def test_a_target_gets_its_settings():
    capabilities = [*TargetCapabilities, *PluginCapabilities]
    assert added(capabilities) == MAPS_AND_FLATTENING | LIMITS | {
        "add_record_metadata",
        "load_method",
        "batch_size_rows",
        "batch_size_bytes",
        "batch_wait_limit_seconds",
        "max_parallelism",
        "max_pending_mb",
        "validate_records",
        "on_invalid",
        "quarantine_path",
        "max_invalid_ratio",
        "hard_delete",
        "default_target_schema",
        "process_activate_version_messages",
        "batch_config",
        "batch_root",
        "batch_storage_options",
        "batch_delete_files",
    }


def test_a_mapper_gets_the_limits_of_its_reader():
    assert added([PluginCapabilities.STREAM_MAPS], kind="mapper") == LIMITS | {
        "stream_maps",
        "stream_map_config",
        "faker_config",
    }


def test_a_target_without_any_capability_of_targets_is_one_when_it_says_so():
    assert "load_method" in added([PluginCapabilities.ABOUT], kind="target")


def test_the_defaults_are_those_that_users_know():
    properties = settings_schema(OWN, [*TargetCapabilities, *PluginCapabilities], kind="target")["properties"]
    defaults = {name: setting["default"] for name, setting in properties.items() if "default" in setting}
    assert defaults == {
        "load_method": "append-only",
        "validate_records": True,
        "on_invalid": "fail",
        "quarantine_path": "quarantine",
        "max_invalid_ratio": 0.1,
        "batch_delete_files": False,
        "hard_delete": False,
        "process_activate_version_messages": True,
        "max_line_mb": 64,
        "max_nesting_depth": 512,
        "max_digits": 4300,
    }


def test_the_authors_own_setting_wins_and_nothing_is_edited():
    own = {"properties": {"batch_size_rows": {"type": "integer", "default": 7}}, "additionalProperties": False}
    before = deepcopy(own)
    merged = settings_schema(own, list(TargetCapabilities))
    merged["properties"]["load_method"]["default"] = "changed"
    assert merged["properties"]["batch_size_rows"] == {"type": "integer", "default": 7}
    assert merged["additionalProperties"] is False
    assert own == before
    assert settings_schema(own, list(TargetCapabilities))["properties"]["load_method"]["default"] == "append-only"


@pytest.mark.parametrize("kind", ["tap", "target", "mapper"])
def test_every_built_in_setting_is_valid_json_schema(kind):
    schema = settings_schema({}, [*TapCapabilities, *TargetCapabilities, *PluginCapabilities], kind=kind)
    assert jsonschema_rs.meta.is_valid(schema)
    assert jsonschema_rs.is_valid(schema, {name: None for name, s in schema["properties"].items() if "type" in s})


@pytest.mark.parametrize(
    "stream_maps",
    [
        {"users": {"email": None, "id": "str(id)", "__else__": None, "__filter__": "id > 3", "__alias__": "u"}},
        {"users": "__NULL__", "orders": None, "__else__": "__NULL__"},
        {"new": {"__source__": "users", "__key_properties__": ["id"], "name": "__NULL__"}},
    ],
)
def test_stream_maps_of_users_are_accepted(stream_maps):
    assert jsonschema_rs.is_valid(settings_schema({}, ["stream-maps"]), {"stream_maps": stream_maps})


def test_capabilities_are_their_text():
    assert str(PluginCapabilities.FLATTENING) == "schema-flattening"
    assert TapCapabilities.LOG_BASED == "log-based"
