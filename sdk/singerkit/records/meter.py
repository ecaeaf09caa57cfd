"""What one evaluation of an expression may spend, and every operation that spends it.

Whatever can grow or repeat goes through a :class:`Meter`, which stops an evaluation that takes more than ``MAX_STEPS``.
Making a text of n characters costs n / 32 steps; making a container, or comparing it in a loop, costs one step for each
value in it, however deep, counted as often as it occurs.
"""

from __future__ import annotations

import datetime as datetime_module
import hashlib
import json
import operator
import random
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

MAX_STEPS = 1_000_000
MAX_INTEGER_BITS = 8_192
MAX_DIGITS = 4_300
MAX_WIDTH = 1_000

#: Characters of text for one step, as a shift: 32.
_TEXT_SHIFT = 5


class Refused(Exception):
    """An evaluation asked for what is not allowed; the message holds no value."""


class Meter:
    """What one evaluation may still spend; every operation that can grow or repeat is a method here."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Take steps. Errors: Refused when they are used up."""
        self.left -= steps
        if self.left < 0:
            raise Refused(
                f"the expression takes more than {MAX_STEPS} steps; make it simpler, or its texts and lists smaller"
            )

    def measure(self, value: Any) -> int:
        """Take a step for each value within ``value``, at any depth; give how many were taken."""
        before = self.left
        waiting = [value]
        while waiting:
            item = waiting.pop()
            self.spend(_weight(item))
            if isinstance(item, dict):
                waiting.extend(item)
                waiting.extend(item.values())
            elif isinstance(item, _GROUPS):
                waiting.extend(item)
            elif isinstance(item, Decimal) and item.is_finite() and abs(item.adjusted()) > MAX_DIGITS:
                raise Refused(f"a number has more than {MAX_DIGITS} digits")
        return before - self.left

    def made(self, value: Any) -> Any:
        """Give back a container (or number) just made, after measuring it."""
        kind = type(value)
        if kind is int:
            if value.bit_length() > MAX_INTEGER_BITS:
                raise Refused(f"an integer has more than {MAX_INTEGER_BITS} bits")
        elif kind is complex:
            raise Refused("the result is a complex number")
        elif kind is str or kind is bytes:
            self.spend(_weight(value))
        elif isinstance(value, (dict, *_GROUPS)):
            self.measure(value)
        return value

    def measured(self, value: Any) -> Any:
        """Give back a value about to be compared or sliced again and again, after measuring it."""
        self.measure(value)
        return value

    # operators

    def add(self, left: Any, right: Any) -> Any:
        """Give ``left + right``."""
        self.spend(_weight(left) + _weight(right))
        return self.made(left + right)

    def multiply(self, left: Any, right: Any) -> Any:
        """Give ``left * right``; the size is checked before it is made."""
        if isinstance(left, int) and not isinstance(right, int):
            return self.multiply(right, left) if isinstance(right, _REPEATABLE) else left * right
        if isinstance(left, _REPEATABLE) and isinstance(right, int):
            times = max(right, 0)
            is_text = isinstance(left, (str, bytes))
            self.spend(len(left) * times >> _TEXT_SHIFT if is_text else self.measure(left) * times)
        elif isinstance(left, int) and left.bit_length() + right.bit_length() > MAX_INTEGER_BITS:
            raise Refused(f"an integer has more than {MAX_INTEGER_BITS} bits")
        self.spend(1)
        return left * right

    def power(self, left: Any, right: Any) -> Any:
        """Give ``left ** right``; the size is checked before it is made."""
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MAX_INTEGER_BITS:
            raise Refused(f"an integer has more than {MAX_INTEGER_BITS} bits")
        self.spend(_weight(left) + _weight(right))
        return self.made(left**right)

    def shift_left(self, left: Any, right: Any) -> Any:
        """Give ``left << right``; the size is checked before it is made."""
        if isinstance(right, int) and right > MAX_INTEGER_BITS:
            raise Refused(f"an integer has more than {MAX_INTEGER_BITS} bits")
        self.spend(_weight(left))
        return self.made(left << right)

    def modulo(self, left: Any, right: Any) -> Any:
        """Give ``left % right``: a remainder, or a text with its ``%s`` filled in."""
        if isinstance(left, (bytes, bytearray)):
            raise Refused("'%' formats text only")
        if isinstance(left, str):
            self._check_percent_format(left, right)
        self.spend(_weight(left) + _weight(right))
        return self.made(left % right)

    def _check_percent_format(self, template: str, values: Any) -> None:
        """Take the steps that a format may need: each place may show all the values, escaped."""
        places = _PERCENT_PLACE.findall(template)
        for place in places:
            _check_width(place)
            if "*" in place:
                raise Refused("a width taken from a value ('*') is not allowed in a format")
        self.spend((self.measure(values) * 10 + (MAX_WIDTH >> _TEXT_SHIFT)) * len(places))

    def _other(self, operate: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
        self.spend(_weight(left) + _weight(right))
        return self.made(operate(left, right))

    def subtract(self, left: Any, right: Any) -> Any:
        """Give ``left - right``."""
        return self._other(operator.sub, left, right)

    def divide(self, left: Any, right: Any) -> Any:
        """Give ``left / right``."""
        return self._other(operator.truediv, left, right)

    def floor_divide(self, left: Any, right: Any) -> Any:
        """Give ``left // right``."""
        return self._other(operator.floordiv, left, right)

    def shift_right(self, left: Any, right: Any) -> Any:
        """Give ``left >> right``."""
        return self._other(operator.rshift, left, right)

    def either(self, left: Any, right: Any) -> Any:
        """Give ``left | right``."""
        return self._other(operator.or_, left, right)

    def both(self, left: Any, right: Any) -> Any:
        """Give ``left & right``."""
        return self._other(operator.and_, left, right)

    def differing(self, left: Any, right: Any) -> Any:
        """Give ``left ^ right``."""
        return self._other(operator.xor, left, right)

    # members, methods, comprehensions

    def member(self, value: Any, name: str) -> Any:
        """Give ``value.name``: the member of an object, or a part of a date or time."""
        if isinstance(value, dict):
            return value[name]
        if name in _PARTS and isinstance(value, _TIMES):
            return getattr(value, name)
        raise Refused(f"a value of type {type(value).__name__} has no '.{name}' here")

    def call(self, value: Any, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Give ``value.method(...)``, where the method is one of those listed for the value's type."""
        prices = METHODS.get(type(value)) or _inherited_methods(value)
        if method not in prices:
            raise Refused(f"a value of type {type(value).__name__} has no method '{method}' here")
        self.spend(_weight(value) + sum(map(_weight, arguments)))
        price = prices[method]
        if price is not None:
            self.spend(price(value, *arguments, **named))
        result = getattr(value, method)(*arguments, **named)
        return result if method in _LOOK_UPS else self.made(result)

    def iterate(self, values: Any, steps: int) -> Iterator[Any]:
        """Give the values one by one; each takes ``steps``."""
        if not isinstance(values, _ITERABLES):
            raise Refused(f"a value of type {type(values).__name__} can't be gone through")
        for value in values:
            self.spend(steps)
            yield value

    def key(self, value: Any) -> Any:
        """Give back a key of an object being made; keys that are not text cost more, as they may be made to collide."""
        self.spend(_weight(value) if isinstance(value, str) else 100 + self.measure(value))
        return value

    # text

    def format(self, value: Any, specification: str = "") -> str:
        """Give ``value`` as text, as ``f"{value:specification}"`` does."""
        if type(value) is str and not specification:
            return value
        self.measure(value)
        if isinstance(value, _TIMES):
            self.spend(_time_layout(value, specification))
        else:
            _check_width(specification)
        return str(self.made(format(value, specification)))

    def concatenate(self, *parts: str) -> str:
        """Give the parts of an f-string as one text."""
        self.spend(1 + (sum(map(len, parts)) >> _TEXT_SHIFT))
        return "".join(parts)

    # functions: what an expression can call by name

    def to_text(self, value: Any = "") -> str:
        """Give ``str(value)``."""
        return self.format(value)

    def to_integer(self, value: Any = 0, base: int | None = None) -> int:
        """Give ``int(value)`` or ``int(text, base)``."""
        if isinstance(value, (str, bytes)) and len(value) > MAX_DIGITS:
            raise Refused(f"a number has more than {MAX_DIGITS} digits")
        self.measure(value)
        return int(value) if base is None else int(value, base)

    def to_float(self, value: Any = 0.0) -> float:
        """Give ``float(value)``."""
        if isinstance(value, (str, bytes)) and len(value) > MAX_DIGITS:
            raise Refused(f"a number has more than {MAX_DIGITS} digits")
        return float(value)

    def to_boolean(self, value: Any = False) -> bool:
        """Give ``bool(value)``."""
        return bool(value)

    def to_list(self, values: Any = ()) -> list[Any]:
        """Give ``list(values)``."""
        return self.made(list(self.iterate(values, 1)))  # type: ignore[no-any-return]

    def to_tuple(self, values: Any = ()) -> tuple[Any, ...]:
        """Give ``tuple(values)``."""
        return self.made(tuple(self.iterate(values, 1)))  # type: ignore[no-any-return]

    def to_set(self, values: Any = ()) -> set[Any]:
        """Give ``set(values)``."""
        return self.made({self.key(value) for value in self.iterate(values, 1)})  # type: ignore[no-any-return]

    def to_object(self, members: Any = (), /, **named: Any) -> dict[Any, Any]:
        """Give ``dict(members, **named)``."""
        pairs = members.items() if isinstance(members, dict) else members
        made = {self.key(key): value for key, value in self.iterate(pairs, 1)}
        return self.made({**made, **named})  # type: ignore[no-any-return]

    def md5(self, text: str) -> str:
        """Give the MD5 digest of a text, in hexadecimal."""
        self.spend(_weight(text))
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def sha256(self, text: str) -> str:
        """Give the SHA-256 digest of a text, in hexadecimal."""
        self.spend(_weight(text))
        return hashlib.sha256(text.encode()).hexdigest()

    def random(self) -> float:
        """Give a number from 0 to below 1."""
        return random.random()  # noqa: S311 - sample data, not a secret

    def random_integer(self, below: Any) -> int:
        """Give an integer from 0 to below ``below``."""
        return int(random.random() * below)  # noqa: S311 - sample data, not a secret

    def load_json(self, text: str) -> Any:
        """Give ``json.loads(text)``."""
        self.spend(len(text) >> 2)  # a value may take a few characters only
        return json.loads(text)

    def dump_json(
        self,
        value: Any,
        *,
        sort_keys: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        ensure_ascii: bool = True,
        allow_nan: bool = True,
        default: Any = None,
    ) -> str:
        """Give ``json.dumps(value)``; dates, times, decimals and UUIDs become text or numbers."""
        size = self.measure(value)
        for layout in (indent, *(separators or ())):
            if (layout if isinstance(layout, int) else len(layout or "")) > 16:
                raise Refused("json.dumps takes an indent or separator of at most 16 characters")
        if indent is not None:
            self.spend(size * _depth(value))
        text = json.dumps(
            value,
            sort_keys=sort_keys,
            indent=indent,
            separators=separators,
            ensure_ascii=ensure_ascii,
            allow_nan=allow_nan,
            default=_jsonable if default is None else str,
        )
        self.spend(_weight(text))
        return text

    def parse_time(self, text: str, layout: str) -> datetime_module.datetime:
        """Give ``datetime.datetime.strptime(text, layout)``."""
        if len(text) > MAX_WIDTH or len(layout) > MAX_WIDTH:
            raise Refused(f"a date or its layout has more than {MAX_WIDTH} characters")
        self.spend(100)
        return datetime_module.datetime.strptime(text, layout)

    def apply(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Give the result of one of the listed functions of ``datetime``."""
        self.spend(10)
        return function(*arguments, **named)

    def fake(self, fake: Any, unique: bool, method: str, /, *arguments: Any, **named: Any) -> Any:
        """Give what a provider of Faker makes up."""
        size = 1
        for argument in (*arguments, *named.values()):
            self.measure(argument)
            if isinstance(argument, str) and len(argument) > MAX_WIDTH:
                raise Refused(f"fake.{method} takes texts of at most {MAX_WIDTH} characters")
            if isinstance(argument, int) and method not in _FAKE_RANGES:
                size *= max(abs(argument), 1)
        if size > 100_000:
            raise Refused(f"fake.{method} is asked for too much")
        self.spend(100 + size)
        value = getattr(fake.unique if unique else fake, method)(*arguments, **named)
        if not isinstance(value, _FAKE_RESULTS):
            raise Refused(f"fake.{method} gives a {type(value).__name__}, which no record can hold")
        return self.made(value)


def _weight(value: Any) -> int:
    """Give the steps for touching a value once, without what is nested in it."""
    kind = type(value)
    if kind is int:
        return 1 + (int(value).bit_length() >> 6)
    if kind is str or kind is bytes:
        return 1 + (len(value) >> _TEXT_SHIFT)
    return 1 + len(value) if isinstance(value, _SIZED) else 1


def _check_width(specification: str) -> None:
    """Refuse a format whose width or precision would make a huge text."""
    if any(len(digits) > 9 or int(digits) > MAX_WIDTH for digits in _DIGITS.findall(specification)):
        raise Refused(f"a format's width and precision are at most {MAX_WIDTH}")


def _depth(value: Any) -> int:
    """Give how many containers are within one another."""
    depth, layer = 0, [value]
    while layer:
        depth += 1
        members = (item.values() if isinstance(item, dict) else item for item in layer if isinstance(item, _SIZED))
        layer = [member for group in members for member in group]
    return depth


def _jsonable(value: Any) -> Any:
    """Give the JSON form of what ``json`` does not know."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (datetime_module.date, datetime_module.time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


_DIGITS = re.compile(r"\d+")  # any script's digits: format() reads those too
_PERCENT_PLACE = re.compile(r"%(?:\([^)]*\))?([-#0 +]*[0-9*]*(?:\.[0-9*]*)?)")

_DICT_VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_GROUPS: tuple[Any, ...] = (list, tuple, set, frozenset, *_DICT_VIEWS)
_SIZED: tuple[Any, ...] = (dict, *_GROUPS)
_ITERABLES: tuple[Any, ...] = (*_GROUPS, dict, str, bytes)
_REPEATABLE = (str, bytes, list, tuple)
_TIMES = (
    datetime_module.date,
    datetime_module.time,
    datetime_module.timedelta,
    type(datetime_module.date.min.isocalendar()),
)


def words(text: str) -> frozenset[str]:
    """Give the words of a text."""
    return frozenset(text.split())


_PARTS = words("year month day hour minute second microsecond tzinfo fold days seconds microseconds week weekday")

#: Providers whose numbers are a range, not a size.
_FAKE_RANGES = words("random_int pyint pyfloat coordinate unix_time")
_FAKE_RESULTS = (*_ITERABLES, *_TIMES, int, float, Decimal, UUID, type(None))


# --- the methods that can be called on a value, with what they cost beyond touching it ---

_Price: TypeAlias = Callable[..., int]


def _padding(value: Any, width: int, *_: Any) -> int:
    return max(width, 0) >> _TEXT_SHIFT


def _tabs(value: str, tabsize: int = 8) -> int:
    return value.count("\t") * max(tabsize, 0) >> _TEXT_SHIFT


def _replacement(value: Any, *arguments: Any, **named: Any) -> int:
    """Price ``text.replace(old, new, count)``; ``replace`` of dates costs nothing."""
    if not isinstance(value, str):
        return 0
    old, new, count = (*arguments, named.get("count", -1))[:3]
    places = value.count(old) if count < 0 else min(value.count(old), count)
    return places * len(new) >> _TEXT_SHIFT


def _compared(value: str, other: Any = None, *_: Any, **__: Any) -> int:
    """Price what may compare each character with each of the other text."""
    return len(value) * len(other or " ") >> 8


def _joined(value: str, parts: Any) -> int:
    if not isinstance(parts, _ITERABLES) or isinstance(parts, bytes):
        raise Refused("join takes a list of texts")
    return len(parts) + (sum(len(part) + len(value) for part in parts) >> _TEXT_SHIFT)


def _parts(value: Any, *_: Any, **__: Any) -> int:
    return len(value) >> 2


def _parts_from_right(value: str, separator: Any = None, *_: Any, **__: Any) -> int:
    return _parts(value) + _compared(value, separator)


def _translated(value: str, table: Any) -> int:
    longest = max((len(part) for part in table.values() if isinstance(part, str)), default=1)
    return len(table) + (len(value) * longest >> _TEXT_SHIFT)


def _coded(value: Any, encoding: str = "utf-8", errors: str = "strict") -> int:
    if encoding.lower().replace("_", "-") not in _ENCODINGS or errors not in _CODING_ERRORS:
        raise Refused("encode and decode know utf-8, ascii and latin-1, and errors: strict, ignore, replace")
    return len(value) >> 2


def _time_layout(value: Any, layout: str) -> int:
    if len(layout) > MAX_WIDTH:
        raise Refused(f"a date layout has at most {MAX_WIDTH} characters")
    return len(layout)


def _searched(value: Any, *_: Any) -> int:
    """Price a search through a list: comparing costs as much as the list holds."""
    return Meter().measure(value) if isinstance(value, (list, tuple)) else 0


_ENCODINGS = frozenset({"utf-8", "utf8", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1"})
_CODING_ERRORS = frozenset({"strict", "ignore", "replace", "xmlcharrefreplace", "backslashreplace"})


def _free(names: str) -> dict[str, _Price | None]:
    return dict.fromkeys(names.split())


#: Methods that give what is there already.
_LOOK_UPS = words("get items keys values")
_TEXT_METHODS: dict[str, _Price | None] = {
    **_free("capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier"),
    **_free(
        "islower isnumeric isprintable isspace istitle isupper lower partition removeprefix removesuffix startswith"
    ),
    **_free("swapcase title upper"),
    **dict.fromkeys(("strip", "lstrip", "rstrip", "rfind", "rindex", "rpartition"), _compared),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padding),
    **dict.fromkeys(("split", "splitlines"), _parts),
    "rsplit": _parts_from_right,
    "expandtabs": _tabs,
    "replace": _replacement,
    "join": _joined,
    "translate": _translated,
    "encode": _coded,
}
_DATE_METHODS: dict[str, _Price | None] = {
    **_free("isoformat replace weekday isoweekday isocalendar toordinal ctime"),
    "strftime": _time_layout,
}
_TIME_METHODS: dict[str, _Price | None] = {
    **_free("isoformat replace utcoffset tzname dst"),
    "strftime": _time_layout,
}
_LIST_METHODS: dict[str, _Price | None] = {"count": _searched, "index": _searched}
METHODS: dict[type, dict[str, _Price | None]] = {
    str: _TEXT_METHODS,
    bytes: {"decode": _coded, "hex": _parts},
    dict: _free("get items keys values copy"),
    list: {**_LIST_METHODS, "copy": None},
    tuple: _LIST_METHODS,
    int: _free("bit_length as_integer_ratio"),
    float: _free("is_integer as_integer_ratio hex"),
    Decimal: _free("is_finite is_nan is_signed"),
    datetime_module.datetime: {**_DATE_METHODS, **_TIME_METHODS, **_free("date time timetz timestamp astimezone")},
    datetime_module.date: _DATE_METHODS,
    datetime_module.time: _TIME_METHODS,
    datetime_module.timedelta: _free("total_seconds"),
}
METHOD_NAMES = frozenset(name for methods in METHODS.values() for name in methods)


def _inherited_methods(value: Any) -> dict[str, _Price | None]:
    """Give the methods for a value of a subclass: those of the listed class nearest to it."""
    return next((METHODS[kind] for kind in type(value).__mro__ if kind in METHODS), {})
