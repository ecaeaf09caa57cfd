"""The gate against a model that keeps everything: never early, never loses the last, never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from singerkit.state.gate import StateGate

STREAMS = "abc"


class GateMachine(RuleBasedStateMachine):
    """Records of three streams come, batches of them become durable in any order, states come in between."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = StateGate()
        self.received = dict.fromkeys(STREAMS, 0)
        self.durable = dict.fromkeys(STREAMS, 0)
        self.states: list[dict[str, int]] = []
        self.released = -1

    @rule(stream=st.sampled_from(STREAMS), count=st.integers(1, 5))
    def receive(self, stream: str, count: int) -> None:
        self.gate.received(stream, count)
        self.received[stream] += count

    @rule()
    def hold(self) -> None:
        self.states.append(dict(self.received))
        self.check(self.gate.hold(b"%d" % (len(self.states) - 1)))

    @precondition(lambda self: self.received != self.durable)
    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        stream = data.draw(st.sampled_from([s for s in STREAMS if self.received[s] > self.durable[s]]))
        count = data.draw(st.integers(1, self.received[stream] - self.durable[stream]))
        self.durable[stream] += count
        self.check(self.gate.durable({stream: count}))

    def due(self) -> int:
        """Give the newest state of which every record before it is durable."""
        ready = [i for i, counts in enumerate(self.states) if all(self.durable[s] >= counts[s] for s in STREAMS)]
        return max(ready, default=-1)

    def check(self, text: bytes | None) -> None:
        newest = self.due()
        if text is None:
            assert newest == self.released
        else:
            assert int(text) == newest
            assert newest > self.released
            self.released = newest

    @invariant()
    def holds_exactly_what_is_not_released(self) -> None:
        assert self.gate.holds == (self.released < len(self.states) - 1)

    def teardown(self) -> None:
        for stream in STREAMS:
            missing = self.received[stream] - self.durable[stream]
            if missing:
                self.durable[stream] += missing
                self.check(self.gate.durable({stream: missing}))
        assert self.released == len(self.states) - 1


TestGate = GateMachine.TestCase


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(0, 40))
def test_batches_that_cut_across_states_release_the_right_one(counts: list[int], stored: int) -> None:
    gate, total, ends = StateGate(), 0, []
    for index, count in enumerate(counts):
        gate.received("a", count)
        total += count
        ends.append(total)
        gate.hold(b"%d" % index)
    stored = min(stored, total)
    released = gate.durable({"a": stored}) if stored else None
    due = [index for index, end in enumerate(ends) if end <= stored]
    assert released == (b"%d" % due[-1] if due else None)
