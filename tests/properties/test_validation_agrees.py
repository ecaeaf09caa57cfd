"""For any schema and record, decoding by type, jsonschema-rs and jsonschema give one verdict and the same values."""

import json
from decimal import Decimal

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from singerkit.records.json_text import json_lines
from singerkit.records.rejection import LineRejected
from singerkit.records.typed import typed
from singerkit.records.validate import compile_decoder

# -- the oracle: jsonschema on exact numbers; only what it gets wrong of Decimals is put right -------------------------


def _is_integer(_, value):
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, Decimal) and value == value.to_integral_value())


def _multiple_of(_, step, value, __):
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        upper, lower = Decimal(value).as_integer_ratio(), Decimal(str(step)).as_integer_ratio()
        if (upper[0] * lower[1]) % (upper[1] * lower[0]):
            yield ValidationError("not a multiple")


Oracle = extend(
    Draft202012Validator,
    validators={"multipleOf": _multiple_of},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def with_exact_numbers(schema):
    return json.loads(json.dumps(schema), parse_float=Decimal)


# -- schemas and values ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d e", "é/~"])
#: Short decimals: distinct ones are distinct floats in the same order, so a float's verdict is the decimal's.
FRACTIONS = st.sampled_from(["0.1", "1.0", "-0.0", "2.50", "-3.25", "1E+2", "1e-7", "12.75", "100.0", "0.30"]).map(
    Decimal
)
INTEGERS = st.integers(-6, 12) | st.sampled_from([2**53 + 1, -(2**63), 2**63, 10**30, -(10**25)])
TEXTS = st.sampled_from(["", "a", "ab", "abc", "a@b", "\U0001f600", "é", 'say "hi"\n', "1.5", "null", "2024-01-01"])
SCALARS = st.none() | st.booleans() | INTEGERS | FRACTIONS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(NAMES, part, max_size=3), max_leaves=6
)
BOUNDS = st.integers(-4, 8) | st.sampled_from([0.1, 2.5, -3.25, 1e62, 2**64, -(2**63)])
SMALL = st.integers(0, 3)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "minimum": BOUNDS,
        "maximum": BOUNDS,
        "exclusiveMinimum": BOUNDS,
        "exclusiveMaximum": BOUNDS,
        "multipleOf": st.sampled_from([1, 2, 3, 0.1, 0.05, 1e-38]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "minProperties": SMALL,
        "pattern": st.sampled_from(["^a", "b$", "@"]),
    },
)
TYPE_NAMES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
TYPES = TYPE_NAMES | st.lists(TYPE_NAMES, min_size=1, max_size=4, unique=True)
LISTED = st.lists(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "ab", 0.1]), min_size=1, max_size=4
)


@st.composite
def plain_schemas(draw, part):
    """Draw a schema with a type (nearly always) and some of the keywords there are."""
    schema = {"type": draw(TYPES)} if draw(st.integers(0, 9)) else {}
    schema |= draw(st.fixed_dictionaries({}) | LIMITS)
    if draw(st.booleans()):
        schema["properties"] = draw(st.dictionaries(NAMES, part, max_size=3))
        schema |= draw(st.fixed_dictionaries({}, optional={"required": st.lists(NAMES, max_size=2, unique=True)}))
        schema |= draw(st.fixed_dictionaries({}, optional={"additionalProperties": st.booleans() | part}))
    if draw(st.booleans()):
        schema["items"] = draw(part)
    return schema


def larger(part):
    branches = st.lists(part, min_size=1, max_size=3)
    return (
        plain_schemas(part)
        | st.builds(lambda name, parts: {name: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]), branches)
        | st.builds(lambda schema, no: {**schema, "not": no}, plain_schemas(part), part)
        | st.builds(lambda schema, parts: {**schema, "anyOf": parts}, plain_schemas(part), branches)
    )


LEAVES = (
    st.builds(lambda types, limits: {"type": types, **limits}, TYPES, LIMITS | st.just({}))
    | st.builds(lambda listed: {"enum": listed}, LISTED)
    | st.builds(lambda types, listed: {"type": types, "enum": listed}, TYPES, LISTED)
    | st.builds(lambda value: {"const": value}, LISTED.map(lambda listed: listed[0]))
    | st.just({})
)
SCHEMAS = st.recursive(LEAVES, larger, max_leaves=6)


@st.composite
def values_near(draw, schema):
    """Draw a value that often, not always, fits the schema."""
    if not isinstance(schema, dict) or draw(st.integers(0, 7)) == 0:
        return draw(VALUES)
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema and "type" not in schema:
            return draw(values_near(draw(st.sampled_from(schema[keyword]))))
    if "enum" in schema or "const" in schema:
        value = draw(st.sampled_from(schema.get("enum") or [schema["const"]]))
        return Decimal(str(value)) if isinstance(value, float) else value
    types = schema.get("type", "object")
    return draw(_value_of(types if isinstance(types, str) else draw(st.sampled_from(types)), schema))


def _value_of(name, schema):
    named = schema.get("properties", {})
    by_type = {
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": INTEGERS,
        "number": INTEGERS | FRACTIONS,
        "string": TEXTS,
        "array": st.lists(values_near(schema.get("items", {})), max_size=3),
        "object": st.fixed_dictionaries({}, optional={name: values_near(part) for name, part in named.items()}),
    }
    return by_type[name]


@st.composite
def streams(draw):
    """Draw the schema of a stream and some of its records."""
    properties = draw(st.dictionaries(NAMES, SCHEMAS, min_size=1, max_size=4))
    schema = {"type": "object", "properties": properties}
    schema |= draw(st.fixed_dictionaries({}, optional={"required": st.lists(NAMES, max_size=2, unique=True)}))
    schema |= draw(st.fixed_dictionaries({}, optional={"additionalProperties": st.booleans() | LEAVES}))
    fields = st.fixed_dictionaries({}, optional={name: values_near(part) for name, part in properties.items()})
    known = st.lists(fields, min_size=1, max_size=3)
    unknown = st.lists(
        st.builds(lambda record, more: {**more, **record}, fields, st.dictionaries(NAMES, VALUES)), max_size=2
    )
    return schema, draw(known) + draw(unknown)


def to_json(value):
    """Write JSON, a Decimal as it is."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{to_json(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value)


def line_of(record):
    return b'{"type":"RECORD","stream":"s","record":' + to_json(record).encode() + b"}\n"


def is_same(got, said):
    """Say whether a decoded value is what the line said, a fraction also as the nearest float or an equal integer."""
    if isinstance(said, Decimal):
        if isinstance(got, Decimal):
            return got.as_tuple() == said.as_tuple()
        return type(got) in (int, float) and got == (said if isinstance(got, int) else float(said))
    if isinstance(said, dict):
        return (
            isinstance(got, dict) and got.keys() == said.keys() and all(is_same(got[name], said[name]) for name in said)
        )
    if isinstance(said, list):
        return isinstance(got, list) and len(got) == len(said) and all(map(is_same, got, said))
    return type(got) is type(said) and got == said


def shape(value):
    """Give a value with the types of all its parts."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__, repr(value)


def verdict(decode, block):
    """Give the records, or the index of the line refused."""
    try:
        return [envelope.record for envelope in decode(block)]
    except LineRejected as rejected:
        assert rejected.violations
        return rejected.index


def many(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many(400)
@given(streams(), st.booleans())
def test_three_judges_agree_and_values_are_kept(stream, exact):
    schema, records = stream
    oracle = Oracle(with_exact_numbers(schema))
    native = jsonschema_rs.Draft202012Validator(schema, validate_formats=False)
    decode = compile_decoder(schema, exact_numbers=exact)
    for record in records * 2:  # twice, as the decoder learns
        said = json.loads(to_json(record), parse_float=Decimal)
        valid = oracle.is_valid(said)
        assert native.is_valid(said) == valid
        got = verdict(decode, line_of(record))
        assert (got != 0) == valid
        if valid:
            assert is_same(got[0], said)


@many(200)
@given(streams())
def test_records_kept_as_they_came_are_judged_alike(stream):
    schema, records = stream
    oracle = Oracle(with_exact_numbers(schema))
    decode = compile_decoder(schema, exact_numbers=True, keep_raw=True)
    for record in records * 2:
        said = json.loads(to_json(record), parse_float=Decimal)
        got = verdict(decode, line_of(record).replace(b"\n", b"\r\n"))
        assert (got != 0) == oracle.is_valid(said)
        if got != 0:
            written = json_lines(got)
            assert written.count(b"\n") == 1
            assert b"\r" not in written
            assert is_same(json.loads(written, parse_float=Decimal), said)


@many(300)
@given(streams(), st.booleans(), st.booleans())
def test_by_type_and_line_by_line_give_the_same(stream, validate, exact):
    schema, records = stream
    decode = compile_decoder(schema, validate=validate, exact_numbers=exact)
    block = b"".join(map(line_of, records))
    by_line = verdict(compile_decoder(schema, validate=validate, exact_numbers=exact), block + b"\n")
    assert shape(verdict(decode, block)) == shape(by_line)
    assert shape(verdict(decode, block)) == shape(by_line)


@many(300)
@given(st.data())
def test_a_type_accepts_nothing_but_what_is_valid(data):
    schema = data.draw(SCHEMAS)
    its_type = typed(schema)
    if its_type is None:
        return
    value = data.draw(values_near(schema))
    try:
        msgspec.json.decode(to_json(value), type=its_type)
    except msgspec.ValidationError:
        return
    assert Oracle(with_exact_numbers(schema)).is_valid(json.loads(to_json(value), parse_float=Decimal))


@pytest.mark.parametrize("exact", [False, True])
def test_first_bad_line_is_named(exact):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    records = [{"a": 1}, {"a": Decimal("2.0")}, {"a": "x"}, {"a": "y"}]
    assert verdict(compile_decoder(schema, exact_numbers=exact), b"".join(map(line_of, records))) == 2
