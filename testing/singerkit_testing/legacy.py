"""Functions that older suites call: tests as a list, and runs of objects that the caller made."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import IO, Any

from singerkit_testing import in_process
from singerkit_testing.runners import TapTestRunner, buffers_of_load

Buffer = io.TextIOWrapper


def get_standard_tap_tests(tap_class: Any, config: Mapping[str, Any] | None = None) -> list[Callable[[], None]]:
    """Give tests to call one by one: what the command prints, discovery, connections, and that keys are in schemas."""
    runner = TapTestRunner(tap_class, config, parse_env_config=True)

    def _test_cli_prints() -> None:
        for arguments in (["--version"], ["--about"], ["--about", "--format=json"]):
            assert runner.run_command(*arguments).strip()  # noqa: S101

    def _test_discovery() -> None:
        catalog = json.loads(runner.run_discovery())
        assert runner.create({**runner.default_kwargs, "catalog": catalog}).streams  # noqa: S101

    def _test_stream_connections() -> None:
        assert runner.run_connection_test()  # noqa: S101

    def _test_pkeys_in_schema() -> None:
        _assert_in_schema(runner.new_tap(), lambda stream: stream.primary_keys)

    def _test_state_partitioning_keys_in_schema() -> None:
        _assert_in_schema(runner.new_tap(), lambda stream: stream.state_partitioning_keys)

    def _test_replication_keys_in_schema() -> None:
        _assert_in_schema(runner.new_tap(), lambda stream: stream.replication_key and [stream.replication_key])

    return [
        _test_cli_prints,
        _test_discovery,
        _test_stream_connections,
        _test_pkeys_in_schema,
        _test_state_partitioning_keys_in_schema,
        _test_replication_keys_in_schema,
    ]


def get_standard_target_tests(target_class: Any, config: Mapping[str, Any] | None = None) -> list[Callable[[], None]]:
    """Give no test, as ever: targets have their tests in `get_target_test_class`."""
    return []


def tap_sync_test(tap: Any) -> tuple[Buffer, Buffer]:
    """Run a tap; give its stdout and stderr."""
    return in_process.buffers(tap.sync_all)


def target_sync_test(target: Any, input: IO[str] | None, *, finalize: bool = True) -> tuple[Buffer, Buffer]:
    """Run a target over messages to the end; give its stdout and stderr. `finalize` changes nothing."""
    return buffers_of_load(target, input)


def tap_to_target_sync_test(tap: Any, target: Any) -> tuple[Buffer, Buffer, Buffer, Buffer]:
    """Run a tap and a target over what it wrote; give stdout and stderr of both."""
    tap_out, tap_err = tap_sync_test(tap)
    target_out, target_err = target_sync_test(target, tap_out)
    tap_out.seek(0)
    return tap_out, tap_err, target_out, target_err


def sync_end_to_end(tap: Any, target: Any, *mappers: Any) -> None:
    """Run a tap, mappers in order, and a target, each over what the one before wrote.

    Errors: whatever one of them raises.
    """
    messages, _ = tap_sync_test(tap)
    for mapper in mappers:
        messages, _ = buffers_of_load(mapper, messages)
    target_sync_test(target, messages)


def _assert_in_schema(tap: Any, names_of: Callable[[Any], Any]) -> None:
    for stream in tap.streams.values():
        absent = set(names_of(stream) or ()) - set(stream.schema["properties"])
        assert not absent, f"the schema of '{stream.name}' does not have {sorted(absent)}"  # noqa: S101
