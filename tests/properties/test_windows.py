"""Windows, partitions and children together: whatever fails, nothing is lost and no bookmark is ahead."""

from __future__ import annotations

from typing import Any

from engine_runs import TapOutcome, run_tap, stream
from hypothesis import example, given, settings
from hypothesis import strategies as st

from singerkit.engine.spec import RangeSpec, StreamSpec
from singerkit.errors import FatalSyncError, SkippableSyncError
from singerkit.state.bounds import Bounds

END = 20
CONTEXTS = [{"parent": 0}, {"parent": 1}]


class Source:
    """Two partitions of records with a number that orders them, and a child for each; fails at the n-th record."""

    def __init__(self, values: list[list[int]], size: int, fails_at: int | None, error: type[Exception]) -> None:
        self.values = values
        self.size = size
        self.fails_at = fails_at
        self.error = error
        self.given = 0

    def ids(self) -> set[int]:
        """All records' ids."""
        return {partition * 100 + n for partition, found in enumerate(self.values) for n in range(len(found))}

    def step(self) -> None:
        self.given += 1
        if self.given == self.fails_at:
            raise self.error("the source broke")

    def specs(self, state: Any) -> list[StreamSpec]:
        """Declare the stream and its child, going on from a state."""

        def slices(context: Any) -> Any:
            start = _bookmark(state, context) or 0
            for first in range(start, END, self.size):
                last = min(first + self.size, END)
                yield {**context, "from": first, "to": last}, Bounds(first, last)

        def read(context: Any) -> Any:
            for number, value in enumerate(self.values[context["parent"]]):
                if context["from"] <= value <= context["to"]:  # the source includes the end
                    self.step()
                    yield {"id": context["parent"] * 100 + number, "at": value}

        def children(context: Any) -> Any:
            self.step()
            return [{"id": context["child"]}]

        declared = {"partitions": lambda: CONTEXTS, "ranges": RangeSpec(slices=slices, is_windowed=True)}
        named = {"child_contexts": lambda record, context: [{"child": record["id"]}]}
        return [stream("a", read, key="at", **declared, **named), stream("b", children, parent="a")]


def _bookmark(state: Any, context: Any) -> int | None:
    entries = (state or {}).get("bookmarks", {}).get("a", {}).get("partitions", ())
    found = [entry for entry in entries if entry["context"] == {"parent": context["parent"]}]
    return found[0].get("replication_key_value") if found else None


def emitted(outcome: TapOutcome, upto: int | None = None) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {"a": [], "b": []}
    for line in outcome.lines[:upto]:
        if line["type"] == "RECORD":
            found[line["stream"]].append(line["record"]["id"])
    return found


VALUES = st.lists(st.integers(0, END), max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(VALUES, VALUES).map(list),
    st.sampled_from([1, 3, 7, END]),
    st.one_of(st.none(), st.integers(1, 16)),
    st.sampled_from([FatalSyncError, SkippableSyncError]),
    st.sampled_from([1, 4]),
)
@example([[9, 3], []], END, 4, FatalSyncError, 1)  # the child of the later, smaller record fails
def test_every_state_of_a_run_in_windows_resumes_to_everything(
    values: list[list[int]], size: int, fails_at: int | None, error: type[Exception], bound: int
) -> None:
    source = Source(values, size, fails_at, error)
    outcome = run_tap(*source.specs(None), max_concurrency=bound, state_frequency=1)
    before = emitted(outcome)
    assert len(before["a"]) == len(set(before["a"])), "a record at the edge of two windows came twice"
    states = [(at, line["value"]) for at, line in enumerate(outcome.lines) if line["type"] == "STATE"]
    for at, state in states:
        written = emitted(outcome, at)
        for partition, context in enumerate(CONTEXTS):
            bookmark = _bookmark(state, context)
            have = {values[partition][one % 100] for one in written["a"] if one // 100 == partition}
            assert bookmark is None or bookmark in have
        rest = emitted(run_tap(*Source(values, size, None, error).specs(state)))
        assert set(written["a"]) | set(rest["a"]) == source.ids()
        if error is FatalSyncError:  # what is skipped of a child is left out on purpose
            assert set(written["b"]) | set(rest["b"]) == source.ids()
