"""How the values of a schema are read: JSON Schema said as a msgspec type, as far as that can be said exactly.

A ``Reading`` is made once per schema and used twice: its type decodes (and so validates) whole blocks of lines in C,
and ``compile_conform`` brings values that were decoded without it to the very same form. So both ways give equal
records, whichever a line took. What a type can't say (``pattern``, ``not``, overlapping branches ...) leaves the type
wider than the schema and marks the reading as *judged*: a validator has to look at the value as well. A type never
accepts what its schema and, where judged, the validator would not; it may refuse what they accept (``1.0`` is an
integer in JSON Schema), so a refusal is no verdict.

Numbers: an integer is an ``int`` of any size, ``1.0`` too where only integers are allowed. Other numbers are ``float``
where the schema plainly says ``number`` (in ``type``, also in separate branches of ``anyOf``), and ``Decimal``, digit
for digit, everywhere else: free-form values, unknown properties, ``multipleOf`` below 1, decimal formats.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from singerkit.types import Record, Schema

#: What a type can be told of each kind of JSON value when nothing is asked of it; "fraction" is a number that is not
#: written as an integer. ``Decimal`` stands for "as the decoder reads free-form numbers": msgspec's own Decimal would
#: also accept texts.
_ANY_KIND: dict[str, Any] = {
    "null": None,
    "boolean": bool,
    "integer": int,
    "fraction": Decimal,
    "string": str,
    "array": list[Any],
    "object": dict[str, Any],
}
_KINDS_OF_TYPE = {**{name: (name,) for name in _ANY_KIND}, "number": ("integer", "fraction")}
_DATE_TYPES: dict[str, Any] = {"date-time": datetime, "date": date, "time": time}
_DECIMAL_FORMATS = frozenset({"decimal", "singer.decimal"})

_ANY_OF = frozenset({"anyOf"})
_ONE_OF = frozenset({"oneOf"})
_VALUES = frozenset({"enum", "const"})
_LENGTHS = frozenset({"minLength", "maxLength"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_SAID = frozenset({"type", "properties", "required", "additionalProperties", "items", "minItems", "maxItems"})
_NAMES_BY_RULE = frozenset({"patternProperties", "unevaluatedProperties"})
#: Keywords that only narrow down, in ways that no type can say.
_JUDGED = frozenset({"allOf", "not", "if", "dependencies", "dependentSchemas", "dependentRequired", "contains"}) | {
    *("propertyNames", "minProperties", "maxProperties", "uniqueItems", "prefixItems", "unevaluatedItems", "pattern"),
    *("multipleOf", "$ref", "$dynamicRef", "$recursiveRef", "additionalItems"),
}
_ASKS_SOMETHING = _ANY_OF | _ONE_OF | _VALUES | _LENGTHS | _BOUNDS | _SAID | _NAMES_BY_RULE | _JUDGED
_INT64 = range(-(2**63), 2**63)
_UNSAYABLE_NAME = re.compile(r"[\x00-\x1f\\\"\ud800-\udfff]")
#: For types whose members are only known now, which a type checker can't follow.
_LIST: Any = list
_DICT: Any = dict


@dataclass(frozen=True)
class Reading:
    """How the values of one schema are read.

    Shape: ``kinds`` is kind of JSON value (see ``_ANY_KIND``) to the msgspec type for it; a kind that is missing is
    refused. ``members`` and ``additional`` are the readings of an object's properties, named and other (None: there
    are no others), ``items`` that of an array's items.
    """

    kinds: Mapping[str, Any]
    judged: bool = False
    members: Mapping[str, Reading] = field(default_factory=dict)
    additional: Reading | None = None
    items: Reading | None = None


#: Anything, as a schema of ``{}`` says.
FREE = Reading(_ANY_KIND)
#: Anything, and the validator has the word.
LEFT_TO_JUDGE = Reading(_ANY_KIND, judged=True)


def type_of(reading: Reading) -> Any:
    """Give the msgspec type: the union of the kinds, or ``Any`` where numbers have to be read exactly."""
    if reading.kinds.get("fraction") is Decimal:
        return Any
    return Union[tuple(reading.kinds.values())]  # noqa: UP007 the members are only known now


def typed(schema: Schema, *, exact_numbers: bool = False) -> Any | None:
    """Give the msgspec type that accepts nothing but the schema's values, or None where there is no such type."""
    reading = reading_of(schema, exact_numbers=exact_numbers)
    return None if reading.judged else type_of(reading)


def reading_of(schema: Any, *, exact_numbers: bool = False, dates: bool = False) -> Reading:
    """Give the reading of a schema without references.

    ``exact_numbers`` reads every number as int or Decimal; ``dates`` reads texts with a date format as the dates they
    tell (the value itself, not what is nested in it).
    """
    if not isinstance(schema, dict):
        return FREE if schema is True else LEFT_TO_JUDGE
    asked = schema.keys() & _ASKS_SOMETHING
    if not asked:
        return FREE
    if asked in (_ANY_OF, _ONE_OF):
        (branches,) = (schema[keyword] for keyword in asked)
        readings = [reading_of(branch, exact_numbers=exact_numbers, dates=dates) for branch in branches]
        return _finished(_union(readings, exclusive=asked == _ONE_OF))
    literal = _values_reading(schema) if asked & _VALUES and asked <= _VALUES | {"type"} else None
    if literal:
        return literal
    if "type" not in asked:
        return LEFT_TO_JUDGE
    reading = _plain_reading(schema, exact_numbers=exact_numbers, dates=dates)
    judged = reading.judged or bool(asked & (_JUDGED | _VALUES | _ANY_OF | _ONE_OF) - _harmless(schema))
    return _finished(replace(reading, judged=judged))


def _harmless(schema: Schema) -> frozenset[str]:
    """Give the judged keywords that ask nothing here: every integer is a multiple of 1."""
    whole = schema.get("multipleOf") == 1 and "number" not in types_in(schema)
    return frozenset({"multipleOf"}) if whole else frozenset()


def _finished(reading: Reading) -> Reading:
    """Make the reading say what its type will do: where numbers are exact, the type is ``Any`` all the way down."""
    if reading.kinds.get("fraction") is not Decimal:
        return reading
    return FREE if not reading.judged and reading.kinds == _ANY_KIND else Reading(reading.kinds, judged=True)


def types_in(schema: Schema) -> tuple[str, ...]:
    """Give what ``type`` lists."""
    declared = schema.get("type", ())
    return (declared,) if isinstance(declared, str) else tuple(declared)


# -- one schema with ``type`` ------------------------------------------------------------------------------------------


def _plain_reading(schema: Schema, *, exact_numbers: bool, dates: bool) -> Reading:
    """Put the kinds together that ``type`` lists, each with the keywords that speak of it."""
    wanted = {kind for name in types_in(schema) for kind in _KINDS_OF_TYPE[name]}
    readings = [Reading({kind: _ANY_KIND[kind]}) for kind in ("null", "boolean") if kind in wanted]
    if "integer" in wanted:
        readings.append(_integer_reading(schema))
    if "fraction" in wanted:
        readings.append(_fraction_reading(schema, exact=exact_numbers or _asks_decimals(schema)))
    if "string" in wanted:
        readings.append(_string_reading(schema, dates=dates))
    if "array" in wanted:
        readings.append(_array_reading(schema, exact_numbers=exact_numbers))
    if "object" in wanted:
        readings.append(object_reading(schema, exact_numbers=exact_numbers))
    return _union(readings, exclusive=False)


def _asks_decimals(schema: Schema) -> bool:
    step = schema.get("multipleOf")
    return schema.get("format") in _DECIMAL_FORMATS or (step is not None and step < 1)


def _integer_reading(schema: Schema) -> Reading:
    """Say bounds as whole numbers; a bound beyond 64 bits can't be said."""
    try:
        low = [math.ceil(schema["minimum"])] if "minimum" in schema else []
        low += [math.floor(schema["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in schema else []
        high = [math.floor(schema["maximum"])] if "maximum" in schema else []
        high += [math.ceil(schema["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in schema else []
    except (ValueError, ArithmeticError):  # a bound that is no finite number
        return Reading({"integer": int}, judged=True)
    if not all(bound in _INT64 for bound in (*low, *high)):
        return Reading({"integer": int}, judged=True)
    return Reading({"integer": _limited(int, ge=max(low, default=None), le=min(high, default=None))})


def _fraction_reading(schema: Schema, *, exact: bool) -> Reading:
    """Say bounds as floats, where a float is exactly the bound."""
    if exact:
        return Reading({"fraction": Decimal}, judged=True)
    limits = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
    bounds = {limits[keyword]: _as_float(schema[keyword]) for keyword in limits if keyword in schema}
    if None in bounds.values() or {"ge", "gt"} <= bounds.keys() or {"le", "lt"} <= bounds.keys():
        return Reading({"fraction": float}, judged=True)
    return Reading({"fraction": _limited(float, **bounds)})


def _as_float(bound: Any) -> float | None:
    """Give the float that is written like the bound, None where there is none."""
    try:
        near = float(bound)
        same = near == bound if isinstance(bound, int) else Decimal(repr(near)) == Decimal(str(bound))
    except (ValueError, ArithmeticError):
        return None
    return near if same and math.isfinite(near) else None


def _string_reading(schema: Schema, *, dates: bool) -> Reading:
    date_type = _DATE_TYPES.get(schema.get("format", ""))
    if dates and date_type and not schema.keys() & (_LENGTHS | _VALUES | {"pattern"}):
        return Reading({"string": date_type})
    text = _limited(str, min_length=_count(schema, "minLength"), max_length=_count(schema, "maxLength"))
    return Reading({"string": text})


def _array_reading(schema: Schema, *, exact_numbers: bool) -> Reading:
    """Say one schema for all items; schemas by position are left to the validator."""
    items = schema.get("items", True)
    if isinstance(items, list) or "prefixItems" in schema:
        return Reading({"array": list[Any]}, judged=True)
    each = reading_of(items, exact_numbers=exact_numbers)
    listed = _LIST[type_of(each)]
    limited = _limited(listed, min_length=_count(schema, "minItems"), max_length=_count(schema, "maxItems"))
    return Reading({"array": limited}, judged=each.judged, items=each)


def _count(schema: Schema, keyword: str) -> int | None:
    return int(schema[keyword]) if keyword in schema else None


def _limited(plain: Any, **limits: Any) -> Any:
    """Attach limits to a type, where there are any."""
    told = {name: limit for name, limit in limits.items() if limit is not None}
    return Annotated[plain, msgspec.Meta(**told)] if told else plain


# -- objects -----------------------------------------------------------------------------------------------------------


def object_reading(schema: Schema, *, exact_numbers: bool = False) -> Reading:
    """Say an object's properties as a struct; one that names no property is a plain dict."""
    by_rule = bool(schema.keys() & _NAMES_BY_RULE)
    others = True if by_rule else schema.get("additionalProperties", True)
    additional = None if others is False else reading_of(others, exact_numbers=exact_numbers)
    named = (schema.get("properties") or {}).items()
    members = {name: reading_of(part, exact_numbers=exact_numbers) for name, part in named}
    required = schema.get("required", ())
    for name in required:
        members.setdefault(name, additional or LEFT_TO_JUDGE)
    judged = by_rule or any(member.judged for member in members.values())
    if not members and additional:
        plain = _DICT[str, type_of(additional)]
        return Reading({"object": plain}, judged=judged or additional.judged, additional=additional)
    struct = struct_of({name: type_of(member) for name, member in members.items()}, required)
    return Reading({"object": struct}, judged or struct is Unsayable, members, additional)


class Unsayable:
    """Stands for objects with names that msgspec has no struct for; decoding any is refused."""


def struct_of(types: Mapping[str, Any], required: Collection[str]) -> Any:
    """Give a struct type with these members; other names are refused, members that are not required may be absent."""
    if any(_UNSAYABLE_NAME.search(name) for name in types):
        return Unsayable
    fields = [
        (
            f"m{number}",
            its_type,
            msgspec.field(name=name, default=msgspec.NODEFAULT if name in required else msgspec.UNSET),
        )
        for number, (name, its_type) in enumerate(types.items())
    ]
    # no cycles through records: the collector need not look at them, which is worth 15 %
    return msgspec.defstruct("Members", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


# -- enum, const, anyOf, oneOf -----------------------------------------------------------------------------------------


def _values_reading(schema: Schema) -> Reading | None:
    """Say listed values: texts and integers as literals, null, and both booleans together; None for any others."""
    listed = list(schema["enum"]) if "enum" in schema else [schema["const"]]
    if ("enum" in schema and "const" in schema) or not all(map(_is_sayable, listed)):
        return None
    allowed = {kind for name in types_in(schema) for kind in _KINDS_OF_TYPE[name]} or _ANY_KIND.keys()
    by_kind = {
        kind: tuple(value for value in listed if type(value) is of_type)
        for kind, of_type in _LISTABLE.items()
        if kind in allowed
    }
    kinds = {kind: _literal(kind, values) for kind, values in by_kind.items() if values}
    only_one_boolean = len(set(by_kind.get("boolean", ()))) == 1
    return Reading(kinds, judged=only_one_boolean) if kinds else None


_LISTABLE = {"null": type(None), "boolean": bool, "integer": int, "string": str}


def _literal(kind: str, values: tuple[Any, ...]) -> Any:
    return Literal[values] if kind in ("integer", "string") else _ANY_KIND[kind]


def _is_sayable(value: Any) -> bool:
    """Say whether a literal type can hold the value."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None or isinstance(value, bool) or (isinstance(value, int) and value in _INT64)


def _union(readings: Iterable[Reading], *, exclusive: bool) -> Reading:
    """Put branches together; where two speak of the same kind, only equal ones can be said.

    ``exclusive``: a value may fit only one branch (``oneOf``), so that any overlap is left to the validator.
    """
    kinds: dict[str, Any] = {}
    judged = False
    shared: set[str] = set()
    listed = list(readings)
    for reading in listed:
        judged = judged or reading.judged
        for kind, its_type in reading.kinds.items():
            if kind in kinds:
                shared.add(kind)
                judged = judged or exclusive or kinds[kind] != its_type
                its_type = its_type if kinds[kind] == its_type else _ANY_KIND[kind]
            kinds[kind] = its_type
    objects = _only(listed, "object", shared)
    arrays = _only(listed, "array", shared)
    loose = {kind: _ANY_KIND[kind] for kind in shared & {"object", "array"}}
    return Reading({**kinds, **loose}, judged or bool(loose), objects.members, objects.additional, arrays.items)


def _only(readings: Iterable[Reading], kind: str, shared: Collection[str]) -> Reading:
    """Give the one branch that speaks of a kind, or an empty reading."""
    if kind in shared:
        return Reading({})
    return next((reading for reading in readings if kind in reading.kinds), Reading({}))


# -- records -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TypedRecord:
    """The type that the records of a stream are decoded into, and what is left to do with the decoded ones.

    Shape: ``judged`` is the schema that a validator has to judge each record by, None where the type says it all;
    ``unsure_keys`` names the key properties that may be null or absent, ``native_dates`` the properties decoded as
    dates by msgspec, which rounds to microseconds without telling; ``exact_numbers`` gives the Python types allowed
    for the properties that are exact numbers without further rules: looking at them costs a sixth of a validator.
    """

    type: Any
    judged: Schema | None
    unsure_keys: tuple[str, ...]
    native_dates: frozenset[str]
    exact_numbers: Mapping[str, frozenset[type]]


def typed_record(
    schema: Schema, *, key_properties: Collection[str], date_properties: Collection[str], exact_numbers: bool
) -> TypedRecord | None:
    """Give the type for records of an object schema; None where no type can say what they are.

    ``date_properties`` are those to decode as dates where a type can say it.
    """
    others = schema.get("additionalProperties", True)
    names = dict(schema.get("properties") or {})
    if "object" not in types_in(schema) or (others is False and not names.keys() >= set(key_properties)):
        return None
    if not names:
        return _free_record(schema, key_properties=key_properties, exact_numbers=exact_numbers)
    names.update({name: others for name in key_properties if name not in names})
    whole = bool(schema.keys() & (_ASKS_SOMETHING - _SAID))
    readings: dict[str, Reading] = dict(object_reading(schema, exact_numbers=exact_numbers).members)
    for name, part in names.items():
        wants_date = name in date_properties and not whole
        readings[name] = _property_reading(part, is_key=name in key_properties, exact=exact_numbers, date=wants_date)
    required = {*schema.get("required", ()), *key_properties}
    struct = struct_of({name: type_of(reading) for name, reading in readings.items()}, required)
    plain = {} if whole else {name: types for name in names if (types := _plain_number(names[name], readings[name]))}
    native = {name for name in date_properties if readings[name].kinds.get("string") in _DATE_TYPES.values()}
    return TypedRecord(
        type=struct,
        judged=schema if whole else _left_to_judge(schema, readings, apart_from=plain),
        unsure_keys=tuple(name for name in key_properties if "null" in readings[name].kinds),
        native_dates=frozenset(native),
        exact_numbers=plain,
    )


def _free_record(schema: Schema, *, key_properties: Collection[str], exact_numbers: bool) -> TypedRecord:
    """Give the type for records whose schema names no property."""
    reading = object_reading(schema, exact_numbers=exact_numbers)
    judged = reading.judged or bool(schema.keys() & (_ASKS_SOMETHING - _SAID))
    return TypedRecord(reading.kinds["object"], schema if judged else None, tuple(key_properties), frozenset(), {})


def _property_reading(schema: Any, *, is_key: bool, exact: bool, date: bool) -> Reading:
    """Read one property of a record: a validator can't judge a date, and a key property is never null."""
    reading = reading_of(schema, exact_numbers=exact, dates=date)
    if date and reading.judged:
        reading = reading_of(schema, exact_numbers=exact)
    if is_key and type_of(reading) is not Any and len(reading.kinds) > 1:
        return replace(reading, kinds={kind: of for kind, of in reading.kinds.items() if kind != "null"})
    return reading


_NUMBERS = {"integer": int, "fraction": Decimal, "null": type(None)}


def _plain_number(schema: Any, reading: Reading) -> frozenset[type] | None:
    """Give the Python types of an exact number of which nothing else is asked, None for anything else."""
    if reading.kinds.get("fraction") is not Decimal or not reading.kinds.keys() <= _NUMBERS.keys():
        return None
    plain = schema.keys() & _ASKS_SOMETHING == {"type"}
    return frozenset(_NUMBERS[kind] for kind in reading.kinds) if plain else None


def _left_to_judge(schema: Schema, readings: Mapping[str, Reading], *, apart_from: Collection[str]) -> Schema | None:
    """Give the part of the schema that the types do not say."""
    judged = {name for name, reading in readings.items() if reading.judged and name not in apart_from}
    if not judged:
        return None
    named = schema.get("properties") or {}
    if judged <= named.keys():
        return {"properties": {name: named[name] for name in named if name in judged}}
    kept = {name: named[name] if name in judged else {} for name in named}
    return {"properties": kept, "additionalProperties": schema.get("additionalProperties", True)}


def widened(schema: Schema, value: Any) -> Schema:
    """Give the schema with the properties that an object has and the schema does not name; the same where none is new.

    They are added as ``additionalProperties`` says, so it is another way to say the same of every value: with a type
    made from it, unknown properties that keep coming are decoded like any other.
    """
    if isinstance(value, list):
        return _with_items(schema, value)
    if not isinstance(value, dict) or not schema.get("properties"):
        return schema
    named: dict[str, Any] = schema["properties"]
    others = True if schema.keys() & _NAMES_BY_RULE else schema.get("additionalProperties", True)
    parts = {
        name: widened(part, value[name]) if name in value and isinstance(part, dict) else part
        for name, part in named.items()
    }
    if others is not False:
        parts.update({name: {} if others is True else others for name in value if name not in named})
    changed = len(parts) > len(named) or any(parts[name] is not named[name] for name in named)
    return {**schema, "properties": parts} if changed else schema


def _with_items(schema: Schema, values: list[Any]) -> Schema:
    items = schema.get("items")
    if not isinstance(items, dict):
        return schema
    wider = items
    for value in values:
        wider = widened(wider, value)
    return schema if wider is items else {**schema, "items": wider}


# -- bringing freely decoded values to the same form -------------------------------------------------------------------


def compile_conform(reading: Reading) -> Callable[[Any], Any] | None:
    """Give the function that brings a freely decoded value (fractions as Decimal) to the form the type gives.

    It changes dicts and lists in place and gives the value back. None where there is nothing to change.
    """
    of_number = _number_form(reading.kinds)
    of_object = _compile_object(reading)
    of_item = compile_conform(reading.items) if reading.items else None
    if not (of_number or of_object or of_item):
        return None

    def conform(value: Any) -> Any:
        kind = type(value)
        if kind is Decimal:
            return of_number(value) if of_number else value
        if kind is dict and of_object:
            of_object(value)
        elif kind is list and of_item:
            value[:] = map(of_item, value)
        return value

    return conform


def _number_form(kinds: Mapping[str, Any]) -> Callable[[Decimal], Any] | None:
    if "fraction" in kinds:
        return None if kinds["fraction"] is Decimal else _as_near_float
    return _as_whole if "integer" in kinds else None


def _as_near_float(value: Decimal) -> float | Decimal:
    """Give the nearest float; a number that no float comes near stays exact."""
    near = float(value)
    return value if math.isinf(near) else near


def _as_whole(value: Decimal) -> int | Decimal:
    """Give 1 for 1.0; what is no integer stays, for the validator to refuse."""
    return int(value) if value == value.to_integral_value() else value


def _compile_object(reading: Reading) -> Callable[[Record], None] | None:
    members = [(name, step) for name, member in reading.members.items() if (step := compile_conform(member))]
    of_other = compile_conform(reading.additional) if reading.additional else None
    if not members and not of_other:
        return None

    def conform(value: Record) -> None:
        for name, step in members:
            if name in value:
                value[name] = step(value[name])
        if of_other:
            for name in value.keys() - reading.members.keys():
                value[name] = of_other(value[name])

    return conform
