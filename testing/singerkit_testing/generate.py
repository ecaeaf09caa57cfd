"""Streams of messages that nobody thought of: generated with hypothesis, all valid, all to be loaded exactly.

Only values that every target can hold are made; the rules say what becomes of the others. Needs hypothesis.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from singerkit_testing.messages import BOOLEAN, DATE_TIME, INTEGER, NUMBER, TEXT, Message, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from hypothesis.strategies import DrawFn, SearchStrategy

_OBJECT = {"type": ["null", "object"], "properties": {"a": TEXT, "b": INTEGER}}
_LIST = {"type": ["null", "array"], "items": INTEGER}
_LONG = 2**63

_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_TELLING = (
    "",
    " ",
    "NULL",
    "\\N",
    "null",
    "'",
    '"',
    ",",
    "\n",
    "\r\n",
    "\t",
    "\\",
    "\\n",
    "é",
    "e\u0301",
    "😀",
    "\u2028",
    "1e5",
)
_TEXTS = st.sampled_from(_TELLING) | st.text(_CHARACTERS, max_size=12)
_INTEGERS = st.sampled_from([0, 1, -1, 2**31, 2**53 + 1, _LONG - 1, -_LONG]) | st.integers(-_LONG, _LONG - 1)
_DECIMALS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-(10**14), 10**14), st.integers(0, 9)
)
_MOMENTS = st.builds(
    lambda day, time, zone: f"{day}T{time}{zone}",
    st.dates().filter(lambda day: 1900 < day.year < 2200),
    st.times().map(lambda time: time.isoformat("microseconds")),
    st.sampled_from(["Z", "+00:00", "+05:30", "-03:00", "+14:00"]),
)
_OBJECTS = st.fixed_dictionaries({"a": st.none() | _TEXTS, "b": st.none() | st.integers(-9, 9)})

# The types of properties, each with its schema and its values.
_KINDS: dict[str, tuple[dict[str, Any], SearchStrategy[Any]]] = {
    "text": (TEXT, _TEXTS),
    "whole": (INTEGER, _INTEGERS),
    "decimal": (NUMBER, _DECIMALS),
    "flag": (BOOLEAN, st.booleans()),
    "moment": (DATE_TIME, _MOMENTS),
    "thing": (_OBJECT, _OBJECTS),
    "list": (_LIST, st.lists(st.none() | st.integers(-99, 99), max_size=4)),
}
_KEYS = {"id": {"type": "integer"}, "part": {"type": "string"}}
_KEY_VALUES: dict[str, SearchStrategy[Any]] = {"id": st.integers(0, 4), "part": st.sampled_from(["a", "b", "a,b", "-"])}
_KEY_CHOICES = ((), ("id",), ("id", "part"))


class _Stream:
    """One stream while its messages are made."""

    def __init__(self, name: str, keys: Sequence[str], kinds: Sequence[str]) -> None:
        self.name = name
        self.keys = list(keys)
        self.kinds = list(kinds)

    @property
    def schema(self) -> Message:
        properties: dict[str, Any] = {key: _KEYS[key] for key in self.keys}
        return schema(self.name, {**properties, **{kind: _KINDS[kind][0] for kind in self.kinds}}, self.keys)

    def record(self, draw: DrawFn) -> Message:
        values = {key: draw(_KEY_VALUES[key]) for key in self.keys}
        for kind in self.kinds:
            fate = draw(st.integers(0, 9))  # a tenth of the values is left out, another is null
            if fate:
                values[kind] = None if fate == 1 else draw(_KINDS[kind][1])
        names = draw(st.permutations(list(values)))
        return record(self.name, {name: values[name] for name in names})


@st.composite
def message_streams(draw: DrawFn) -> list[Message]:
    """Make a valid stream of messages: up to five streams in turns, growing schemas, repeated keys, states."""
    kinds = st.lists(st.sampled_from(list(_KINDS)), min_size=1, max_size=len(_KINDS), unique=True)
    count = draw(st.integers(1, 5))
    streams = [_Stream(f"made_{index}", draw(st.sampled_from(_KEY_CHOICES)), draw(kinds)) for index in range(count)]
    messages = [stream.schema for stream in streams]
    steps = st.lists(st.integers(0, 11), max_size=20)  # several short lists are longer together than one
    for step in [*draw(steps), *draw(steps), *draw(steps), *draw(steps)]:
        stream = streams[step % count]
        if step == 11:
            messages.append(state({"bookmarks": {}, "step": len(messages)}))
        elif step == 10:
            messages.append(_changed(draw, stream))
        else:
            messages.append(stream.record(draw))
    return messages


def _changed(draw: DrawFn, stream: _Stream) -> Message:
    """Announce one more property, or the same schema again."""
    others = [kind for kind in _KINDS if kind not in stream.kinds]
    grows = draw(st.booleans())
    if others and grows:
        stream.kinds.append(draw(st.sampled_from(others)))
    return stream.schema


def bookmarked_stream(random: Random, *, records: int) -> list[Message]:
    """Make a long stream whose states say exactly what is before them: ``bookmarks``, stream, ``id``.

    Shape: three streams in uneven turns; ids count from 1 in each; the last message is a state.
    """
    ids = {"one": 0, "two": 0, "three": 0}
    messages = [schema(stream, {"id": {"type": "integer"}, "name": TEXT}, ["id"]) for stream in ids]
    while sum(ids.values()) < records:
        stream = random.choices(list(ids), weights=(6, 2, 1))[0]
        for _ in range(random.randint(1, 6)):
            ids[stream] += 1
            messages.append(record(stream, id=ids[stream], name=f"{stream} {ids[stream]}"))
        if random.random() < 0.6:
            messages.append(_bookmarks(ids))
    return [*messages, _bookmarks(ids)]


def _bookmarks(ids: Mapping[str, int]) -> Message:
    return state({"bookmarks": {stream: {"id": number} for stream, number in ids.items()}})
