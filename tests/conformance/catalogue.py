"""The corpus: every program, the rule that it must trip, and how the harness is to run it.

A program that must pass clean has no rule. What a program does differently stands in its docstring, in `programs/`.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from by_name import name_of

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = PROGRAMS / "source"

BROKEN_TAPS = {
    "log_on_stdout": "TAP-001",
    "pretty_printed": "TAP-002",
    "untyped_records": "TAP-003",
    "nan_token": "TAP-004",
    "blank_lines": "TAP-006",
    "duplicate_name": "TAP-007",
    "always_succeeds": "TAP-008",
    "failed_stream_skipped": "TAP-009",
    "half_a_line": "TAP-010",
    "errors_are_info": "TAP-011",
    "secret_in_log": "TAP-012",
    "secret_in_url": "TAP-012",
    "waits_for_reader": "TAP-014",
    "loses_a_random_row": "TAP-016",
    "local_time_as_utc": "TAP-017",
    "asks_on_stdin": "TAP-018",
    "leaves_cache": "TAP-019",
    "record_is_list": "TAP-020",
    "unnamed_stream": "TAP-021",
    "extracted_yesterday": "TAP-022",
    "version_is_text": "TAP-023",
    "unknown_json_type": "TAP-024",
    "key_properties_is_text": "TAP-025",
    "key_outside_schema": "TAP-026",
    "key_named_twice": "TAP-027",
    "unknown_bookmark_property": "TAP-028",
    "state_without_value": "TAP-029",
    "state_is_list": "TAP-030",
    "bookmark_of_no_stream": "TAP-031",
    "lowercase_types": "TAP-032",
    "activates_text": "TAP-033",
    "batch_without_file": "TAP-034",
    "late_record_before_schema": "TAP-040",
    "count_is_text": "TAP-041",
    "undeclared_property": "TAP-042",
    "zero_key_is_null": "TAP-043",
    "page_boundary_twice": "TAP-044",
    "naive_time_in_union": "TAP-045",
    "open_reference": "TAP-046",
    "rounded_numbers": "TAP-047",
    "narrows_schema": "TAP-048",
    "empty_stream": "TAP-050",
    "empty_text_is_null": "TAP-051",
    "no_states": "TAP-060",
    "refuses_own_state": "TAP-061",
    "state_before_records": "TAP-062",
    "bookmark_as_text": "TAP-062",
    "strictly_newer": "TAP-063",
    "only_new_keys": "TAP-064",
    "drops_rows_without_time": "TAP-065",
    "null_poisons_bookmark": "TAP-065",
    "bookmark_of_unsorted": "TAP-066",
    "never_incremental": "TAP-067",
    "state_by_its_spelling": "TAP-068",
    "skips_streams_before": "TAP-069",
    "forgets_other_bookmarks": "TAP-070",
    "refuses_unknown_bookmark": "TAP-071",
    "remembers_by_itself": "TAP-072",
    "ignores_start_date": "TAP-073",
    "leaves_marker": "TAP-074",
    "states_overtake_records": "TAP-076",
    "bad_state_is_none": "TAP-077",
    "offset_passes_rows": "TAP-078",
    "counts_rows_twice": "TAP-P01",
    "trusts_old_marker": "TAP-P01",
    "activates_too_early": "TAP-079",
    "never_activates": "TAP-079",
    "state_grows": "TAP-080",
    "empties_config": "TAP-082",
    "discovery_with_log": "CAT-001",
    "catalog_is_list": "CAT-002",
    "entry_without_stream": "CAT-003",
    "shared_stream_id": "CAT-004",
    "invalid_discovered_schema": "CAT-005",
    "metadata_is_object": "CAT-006",
    "breadcrumb_to_nowhere": "CAT-007",
    "no_inclusion": "CAT-008",
    "keys_are_optional": "CAT-009",
    "unknown_table_key": "CAT-010",
    "selects_in_discovery": "CAT-011",
    "unknown_forced_method": "CAT-012",
    "discovery_changes": "CAT-013",
    "refuses_own_catalog": "CAT-014",
    "refuses_annotations": "CAT-015",
    "empty_catalog_on_failure": "CAT-016",
    "sends_deselected_stream": "SEL-001",
    "sends_deselected_property": "SEL-002",
    "schema_keeps_deselected": "SEL-003",
    "drops_deselected_key": "SEL-004",
    "sends_unsupported": "SEL-005",
    "nothing_means_all": "SEL-008",
    "nested_selection_ignored": "SEL-009",
    "unknown_stream_crashes": "SEL-010",
    "always_incremental": "SEL-011",
    "any_replication_key": "SEL-012",
    "child_needs_parent": "SEL-013",
    "no_state_option": "CLI-001",
    "catalog_has_no_effect": "CLI-001",
    "config_is_list": "CLI-003",
    "invents_missing_setting": "CLI-004",
    "refuses_unknown_setting": "CLI-006",
    "one_spelling_of_start_date": "CLI-007",
    "fixed_argument_order": "CLI-009",
    "unknown_option_ignored": "CLI-010",
    "about_without_settings": "EXT-002",
    "declares_test": "EXT-003",
    "declares_structured_logging": "EXT-011",
    "password_not_required": "EXT-004",
    "secret_not_declared": "EXT-005",
}

BROKEN_TARGETS = {
    "last_batch_lost": "TGT-001",
    "writes_on_empty_input": "TGT-002",
    "last_line_needs_lf": "TGT-003",
    "crlf_refused": "TGT-004",
    "ascii_only": "TGT-006",
    "replaces_bad_bytes": "TGT-007",
    "splits_on_unicode": "TGT-008",
    "cuts_long_lines": "TGT-009",
    "bad_line_skipped": "TGT-010",
    "cut_last_line_ignored": "TGT-011",
    "missing_type_skipped": "TGT-012",
    "null_record_dropped": "TGT-013",
    "unknown_type_refused": "TGT-014",
    "lowercase_type_skipped": "TGT-015",
    "batch_skipped": "TGT-016",
    "extra_members_refused": "TGT-017",
    "bare_traceback": "TGT-018",
    "config_optional": "TGT-019",
    "record_without_schema_dropped": "TGT-030",
    "missing_keys_crash": "TGT-031",
    "keyless_merged": "TGT-032",
    "unknown_key_dropped": "TGT-033",
    "type_is_needed": "TGT-034",
    "unions_refused": "TGT-035",
    "root_must_be_object": "TGT-037",
    "references_crash": "TGT-038",
    "properties_are_needed": "TGT-036",
    "invalid_schema_drops_records": "TGT-039",
    "repeated_schema_truncates": "TGT-040",
    "first_schema_only": "TGT-041",
    "removed_column_wiped": "TGT-042",
    "type_change_is_null": "TGT-043",
    "batch_under_new_schema": "TGT-044",
    "first_keys_only": "TGT-045",
    "invalid_record_skipped": "TGT-046",
    "unknown_property_dropped": "TGT-047",
    "schema_alone_refused": "TGT-049",
    "first_of_batch_lost": "TGT-060",
    "record_between_batches_lost": "TGT-060",
    "values_by_position": "TGT-061",
    "empty_text_is_null": "TGT-062",
    "integers_through_float": "TGT-063",
    "decimals_through_float": "TGT-064",
    "multiple_of_by_float": "TGT-065",
    "stores_nan": "TGT-066",
    "offset_dropped": "TGT-067",
    "odd_time_drops_row": "TGT-068",
    "line_feed_is_backslash_n": "TGT-069",
    "text_is_trimmed": "TGT-069",
    "nul_drops_row": "TGT-070",
    "nested_as_repr": "TGT-071",
    "empty_list_dropped": "TGT-072",
    "deep_value_crashes": "TGT-073",
    "flattens_into_each_other": "TGT-074",
    "null_is_false": "TGT-075",
    "false_text_is_false": "TGT-075",
    "replaces_own_names": "TGT-076",
    "first_of_key_wins": "TGT-080",
    "append_merges": "TGT-081",
    "joined_keys": "TGT-082",
    "first_key_counts": "TGT-082",
    "falsy_key_refused": "TGT-083",
    "null_key_is_key": "TGT-084",
    "streams_folded": "TGT-086",
    "columns_folded": "TGT-087",
    "plain_names_only": "TGT-088",
    "short_name_crashes": "TGT-089",
    "name_is_path": "TGT-090",
    "name_is_statement": "TGT-091",
    "state_at_once": "TGT-100",
    "one_stream_drained": "TGT-100",
    "state_is_decorated": "TGT-101",
    "states_backwards": "TGT-101",
    "last_state_lost": "TGT-102",
    "state_needs_records": "TGT-103",
    "empty_state_swallowed": "TGT-104",
    "float_in_state_crashes": "TGT-105",
    "state_after_error": "TGT-106",
    "states_sorted": "TGT-108",
    "activation_refused": "TGT-120",
    "activation_deletes_all": "TGT-121",
    "activation_before_batch": "TGT-122",
    "activation_needs_rows": "TGT-123",
    "version_acts_at_once": "TGT-123",
    "unknown_activation_crashes": "TGT-124",
    "version_needs_metadata": "TGT-125",
    "damaged_batch_skipped": "TGT-126",
    "signal_releases_states": "TGT-140",
    "hangs_on_closed_stdout": "TGT-141",
    "full_disk_is_fine": "TGT-142",
    "lock_stays": "TGT-143",
    "replay_duplicates": "TGT-144",
    "only_last_stream": "TGT-145",
    "small_batches_collide": "TGT-146",
    "each_run_starts_anew": "TGT-147",
    "lines_by_read": "TGT-148",
    "stays_alive": "CLI-011",
    "load_method_ignored": "EXT-010",
    "plain_line_among_json": "EXT-011",
}

BROKEN_MAPPERS = {
    "states_overtake": "EXT-012d",
    "states_backwards": "EXT-012c",
    "state_is_stamped": "EXT-012c",
    "batch_border_lost": "EXT-012b",
    "last_batch_lost": "EXT-012b",
    "decimals_rounded": "EXT-012f",
    "nulls_dropped": "EXT-012f",
    "versions_lost": "EXT-012e",
    "lines_by_read": "EXT-012g",
    "crlf_refused": "EXT-012h",
    "bad_line_skipped": "EXT-012i",
    "unknown_type_refused": "EXT-012j",
    "empty_input_refused": "EXT-012k",
    "other_streams_refused": "EXT-012a",
    "waits_for_reader": "EXT-012l",
    "ignores_sigterm": "EXT-012m",
    "schema_forgotten": "TAP-042",
    "logs_plain_text": "EXT-011",
}

# What some programs need of the config, to show their defect or their custom.
CONFIGS = {
    "activates_text": {"activate_version": True},
    "activates_too_early": {"activate_version": True},
    "never_activates": {"activate_version": True},
    "append_merges": {"load_method": "append"},
    "files_of_a_run": {"load_method": "append"},
}
# These change what the source says, so that its rows are not what is to be expected of them.
OTHER_RECORDS = {"widens_schema", "huge_record", "bare_records", "stream_without_rows", "full_tables_only"}
# These store their rows in an SQLite file instead of a folder of JSON lines.
IN_SQLITE = {"sqlite_tables", "name_is_statement"}
# Good custom that a correct program may break all the same: the catalogue calls these non-strict, not wrong.
TOLERATED = {"plain_state": {"TAP-031"}, "tells_the_time": {"TAP-016"}, "lists_in_tables": {"TGT-P01"}}


@dataclass(frozen=True)
class Program:
    """One program of the corpus: a command of its own, and the rule that it must trip (None: it is correct)."""

    kind: str  # tap, target or mapper
    file: str
    name: str
    rule: str | None = None
    says: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """Without site-packages: nothing but the standard library is there."""
        return [sys.executable, "-S", str(PROGRAMS / f"{self.file}.py"), *([self.name] if self.name else [])]

    def __str__(self) -> str:
        return f"{self.kind}-{self.name or 'reference'}"


def programs_of(kind: str, file: str, rules: dict[str, str] | None = None) -> list[Program]:
    """The programs of a file: its classes, read without running it."""
    classes = [node for node in ast.parse((PROGRAMS / f"{file}.py").read_text()).body if isinstance(node, ast.ClassDef)]
    named = {name_of(each.name): ast.get_docstring(each) or "" for each in classes}
    return [Program(kind, file, n, (rules or {}).get(n), says, CONFIGS.get(n, {})) for n, says in named.items()]


BROKEN = [
    *programs_of("tap", "broken_taps", BROKEN_TAPS),
    *programs_of("target", "broken_targets", BROKEN_TARGETS),
    *programs_of("mapper", "broken_mappers", BROKEN_MAPPERS),
]
CORRECT = [
    Program("tap", "tap", "", says="The reference."),
    Program("tap", "tap", "", says="The reference, with versions.", config={"activate_version": True}),
    Program("target", "target", "", says="The reference."),
    Program("target", "target", "", says="The reference, appending.", config={"load_method": "append"}),
    *programs_of("tap", "unusual_taps"),
    *programs_of("target", "unusual_targets"),
    Program("mapper", "mapper", "", says="The reference."),
    *programs_of("mapper", "unusual_mappers"),
]


# ---- the source of the taps


def copy_source(folder: Path) -> dict[str, Any]:
    """Copy the source, for a tap alone; gives the config that reads it."""
    shutil.copytree(SOURCE, folder / "source")
    return {"source": str(folder / "source"), "password": "canary-3f7a91"}


def broken_configs(folder: Path) -> list[dict[str, Any]]:
    """Configs with which no tap can work: no source at all, and one in which the file of one stream is damaged."""
    shutil.copytree(SOURCE, folder / "damaged")
    (folder / "damaged" / "facts.json").write_text('[{"id": 1, "count"')
    return [{"source": str(folder / "nowhere")}, {"source": str(folder / "damaged")}]


def records_of(stream: str) -> list[dict[str, Any]]:
    """What a correct tap sends of a stream when it is run for the first time."""
    rows = json.loads((SOURCE / f"{stream}.json").read_text(), parse_float=Decimal)
    return [{name: value for name, value in row.items() if name not in ("raw", "lines")} for row in rows]


def mutator(folder: Path) -> Callable[[str], None]:
    """Gives what edits the source between two runs, by the name of the change."""
    people = folder / "source" / "people.json"

    def change(action: str) -> None:
        rows = json.loads(people.read_text())
        if action == "insert_tie":
            rows.append({**rows[-1], "id": 100 + len(rows), "name": "late"})
        elif action == "update_old":
            rows[4] = {**rows[4], "name": "changed", "updated_at": "2024-07-01T00:00:00Z"}
        else:
            del rows[1]
        people.write_text(json.dumps(rows))

    return change
