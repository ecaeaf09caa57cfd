"""A process that writes states until it is killed: ``URL KEY``; says each revision that was acknowledged to it.

With ``--hold S`` it takes the lease for so many seconds, says so, and puts one state when it gets a line.
"""

from __future__ import annotations

import sys

from singerkit.runner.store.base import StoreError
from singerkit.runner.store.open import open_store

URL, KEY, *REST = sys.argv[1:]


def say(text):
    print(text, flush=True)


def write_until_killed(store):
    lease = store.acquire(KEY, "writer", 600, force=True)
    stored = store.get(KEY)
    revision = stored.revision if stored else None
    number = stored.state["n"] if stored else 0
    say("ready")
    while True:
        number += 1
        state = {"n": number, "text": str(number) * 3000}
        revision = store.put(KEY, state, expected=revision, lease=lease, run="writer").revision
        say(f"{revision} {number}")


def hold(store, seconds):
    lease = store.acquire(KEY, "holder", seconds)
    say("held")
    sys.stdin.readline()
    try:
        store.put(KEY, {"by": "holder"}, expected=None, lease=lease, run="holder")
    except StoreError as error:
        say(type(error).__name__)
    else:
        say("put")


store = open_store(URL)
if REST:
    hold(store, float(REST[1]))
else:
    write_until_killed(store)
