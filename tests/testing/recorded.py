"""A tap that writes the same lines whatever it is asked: what the rules that only read need."""

from __future__ import annotations

import sys

from singerkit_testing.messages import line_of
from singerkit_testing.rules import judge_one, tap_rules
from singerkit_testing.tap_lab import TapLab
from singerkit_testing.wire import encode

PROGRAM = """
import pathlib, sys
name = "catalog" if "--discover" in sys.argv else "messages"
sys.stdout.buffer.write(pathlib.Path(__file__).with_name(name).read_bytes())
"""
RULES = {rule.id: rule for rule in tap_rules()}


def catalog_of(stream, properties, **metadata):
    fields = [{"breadcrumb": ["properties", name], "metadata": {"inclusion": "available"}} for name in properties]
    root = {"breadcrumb": [], "metadata": {"inclusion": "available", **metadata}}
    schema = {"type": "object", "properties": properties}
    return {"streams": [{"tap_stream_id": stream, "stream": stream, "schema": schema, "metadata": [root, *fields]}]}


def judged(folder, rule_id, messages, *, catalog=None, **options):
    """Apply one rule to a tap that writes these messages; the result."""
    (folder / "tap.py").write_text(PROGRAM)
    (folder / "messages").write_bytes(b"".join(line_of(message) + b"\n" for message in messages))
    (folder / "catalog").write_bytes(encode(catalog or {"streams": []}) if not isinstance(catalog, bytes) else catalog)
    with TapLab([sys.executable, str(folder / "tap.py")], {}, **options) as lab:
        return judge_one(RULES[rule_id], lab)
