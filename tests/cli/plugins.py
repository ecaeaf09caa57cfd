"""A tap, a target and a mapper with the public face that the command lines know, and nothing behind it.

Run as a script: the first word names the class.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from singerkit.cli.mapper import mapper_command
from singerkit.cli.run import author_code
from singerkit.cli.tap import tap_command
from singerkit.cli.target import target_command
from singerkit.config.settings import PluginCapabilities, TapCapabilities, TargetCapabilities, settings_schema
from singerkit.errors import DataError, FatalAPIError, OutputClosed, ProtocolError


class Plugin:
    """Moves nothing at all.

    This second paragraph is for readers of the code.
    """

    plugin_version = "1.2.3"
    sdk_version = "0.1.0"
    capabilities = (PluginCapabilities.ABOUT, PluginCapabilities.FLATTENING)
    kind = None
    config_jsonschema = {  # noqa: RUF012
        "type": "object",
        "properties": {
            "api_key": {"type": "string", "secret": True, "description": "The key | of the API."},
            "page_size": {"type": ["integer", "null"], "default": 100},
            "password": {"type": "string", "secret": True, "default": "hidden-default"},
            "auth": {"type": "object", "properties": {"user": {"type": "string", "description": "Who."}}},
            "end": {"type": "string"},
        },
        "required": ["api_key"],
    }

    @classmethod
    def settings_schema(cls):
        return settings_schema(cls.config_jsonschema, cls.capabilities, kind=cls.kind)

    def __init__(self, config=None, catalog=None, state=None, parse_env_config=False, validate_config=True):
        from singerkit.config.resolve import resolve_config

        self.logger = logging.getLogger(self.name)
        self.catalog, self.state = catalog, state
        self.config = resolve_config(config, self.settings_schema()) if validate_config else config
        print("printed by the constructor")

    def run(self, **facts):
        ends = {
            "quit": lambda: sys.exit(0),
            "quit with text": lambda: sys.exit(f"sorry {self.config['api_key']}"),
            "signal": lambda: sys.exit(143),
            "code": lambda: 7,
            "bug": lambda: {}[self.config["api_key"]],
            "library": lambda: json.loads("{" + self.config["api_key"]),
            "own bug": lambda: settings_schema(None, self.capabilities),
            "noted": lambda: fail(noted(ValueError("no 'Jane Roe' here"), "in stream 'users'", "for 'Jane Roe'")),
            "key": lambda: {}["Jane Roe"],
            "prints": lambda: print_as_files_allow(sys.stdout),
            "cancelled": lambda: fail(asyncio.CancelledError("for 'Jane Roe'")),
            "generator": lambda: fail(GeneratorExit()),
            "disk": lambda: Path("/nowhere/file").read_text(),
            "api": lambda: fail(FatalAPIError(f"401 for {self.config['api_key']}\n2026 CRITICAL forged")),
            "data": lambda: fail(DataError("2 rules broken", stream="users", violations=["/a: type", "/b: enum"])),
            "protocol": lambda: fail(ProtocolError("not JSON", line_number=3, byte_offset=20)),
            "closed": lambda: fail(OutputClosed("gone")),
            "interrupt": lambda: fail(KeyboardInterrupt()),
        }
        with author_code(self.name):
            result = ends[self.config["end"]]() if "end" in self.config else None
        print(json.dumps({**facts, "config": dict(self.config)}))
        return result


def print_as_files_allow(out):
    out.reconfigure(line_buffering=True, encoding="utf-8")
    out.buffer.write(b"bytes printed by buffer\n")
    out.buffer.flush()
    out.writelines(["lines printed by writelines\n"])
    if not out.isatty() and not out.buffer.isatty() and out.encoding == "utf-8" and out.errors:
        os.write(out.fileno(), b"printed by descriptor\n")
        subprocess.run(["echo", "printed by child"], stdout=out, check=True)
        subprocess.run(["echo", "printed by grandchild"], stdout=out.buffer, check=True)
    out.flush()


def noted(error, *notes):
    for note in notes:
        error.add_note(note)
    return error


def fail(error):
    raise error


class TapX(Plugin):
    __doc__ = Plugin.__doc__
    name = "tap-x"
    capabilities = (*Plugin.capabilities, TapCapabilities.CATALOG, TapCapabilities.DISCOVER)

    @property
    def catalog_json_text(self):
        print("printed by discovery")
        return json.dumps({"streams": [], "key": bool(self.config["api_key"])})

    def sync_all(self):
        return self.run(verb="sync", catalog=self.catalog, state=self.state)

    def write_schemas(self):
        self.run(verb="schemas")

    def run_connection_test(self):
        self.run(verb="test")
        return self.config["page_size"] != 0


class FixedTap(TapX):
    """Its streams are always the same."""

    catalog_json_text = '{"streams": []}'


class TargetX(Plugin):
    """Stores nothing."""

    name = "target-x"
    keeps_states = False
    capabilities = (*Plugin.capabilities, *TargetCapabilities)

    def listen(self, file_input=None):
        self.run(verb="listen", lines=len((file_input or sys.stdin.buffer).read().splitlines()))


class MapperX(TargetX):
    """Changes nothing."""

    name = "mapper-x"
    kind = "mapper"


COMMANDS = {
    "tap": tap_command(TapX),
    "fixed-tap": tap_command(FixedTap),
    "target": target_command(TargetX),
    "mapper": mapper_command(MapperX),
}

if __name__ == "__main__":
    COMMANDS[sys.argv.pop(1)]()
