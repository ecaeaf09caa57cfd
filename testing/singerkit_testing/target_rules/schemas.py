"""What a target makes of the schemas that taps send: all JSON Schema that is valid, and none that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import ID, TEXT, Message, Sent, record, schema, state
from singerkit_testing.outcomes import lost, taken_or_refused, taken_whole, unclear
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_lab import case, register_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singerkit_testing.target_lab import Load, TargetLab

_INSTANT = "2024-05-01T12:00:00+00:00"


def _of_type(stream: str, form: Any, *values: Any, definitions: Any = None) -> Callable[[], list[Sent]]:
    """Make a case: a stream whose property ``value`` has a schema, and a record for each value."""
    first = schema(stream, {"id": ID, "value": form}, ["id"])
    if definitions is not None:
        first["schema"]["definitions"] = definitions
    rows = [record(stream, id=number, value=value) for number, value in enumerate(values, 1)]
    return lambda: [first, *rows]


def _with_root(stream: str, root: dict[str, Any], keys: list[str]) -> Callable[[], list[Sent]]:
    """Make a case: a stream with a whole schema, and two records."""
    first: Message = {"type": "SCHEMA", "stream": stream, "schema": root, "key_properties": keys}
    return lambda: [first, record(stream, id=1, name="one"), record(stream, id=2, name="two")]


_KEYLESS: dict[str, dict[str, Any]] = {"absent": {}, "null": {"key_properties": None}}


def _keyless(stream: str, extra: dict[str, Any]) -> Callable[[], list[Sent]]:
    first = {**schema(stream, {"id": ID}, None), **extra}
    return lambda: [first, record(stream, id=1), record(stream, id=2)]


for _name, _extra in _KEYLESS.items():
    register_case(f"keyless: {_name}", _keyless(f"keyless_{_name}", _extra), "keyless")


@target_rule(
    "TGT-031",
    "a schema without key_properties is refused in plain words, or taken for one without keys",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: key_properties",
    remedy="Take a missing or null key_properties for an empty list, or say in the error what is missing.",
)
def missing_key_properties(target: TargetLab) -> Iterator[Finding]:
    """Leave key_properties out, then send null."""
    for name in _KEYLESS:
        shared = target.shared(f"keyless: {name}")
        if shared.ok:
            yield from lost(target, shared.load.destination, shared.sent, f"keyless_{name}")
        else:
            yield from unclear(shared.load, ["key_properties", "key properties"], shared.sent[0])


@case("without keys")
def _without_keys() -> Iterator[Message]:
    yield schema("facts", {"name": TEXT, "count": {"type": "integer"}}, [])
    for name in ("one", "two", "one", "one"):
        yield record("facts", name=name, count=1)


@target_rule(
    "TGT-032",
    "a stream without keys keeps every record, also equal ones",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: key_properties may be empty",
    remedy="Append the records of a stream whose key_properties are empty; never merge equal rows.",
)
def a_stream_without_keys_keeps_all(target: TargetLab) -> Iterator[Finding]:
    """Send four records of which three are equal."""
    yield from taken_whole(target, "without keys")


@target_rule(
    "TGT-033",
    "a key that the schema lacks is refused in plain words",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: key_properties name properties of the schema",
    remedy="Check that each of the key_properties is in the schema; name the stream and the key in the error.",
)
def an_absent_key_is_refused(target: TargetLab) -> Iterator[Finding]:
    """Name a key that no record has."""
    messages = [schema("keyed", {"name": TEXT}, ["nowhere"]), record("keyed", name="one"), record("keyed", name="two")]
    load = target.load(messages)
    if not load.ok:
        yield from unclear(load, ["nowhere"], messages[0])
        return
    severity = Severity.INFO if target.load_method == "append" or target.reader is None else Severity.SHOULD
    yield Finding("a key property that the schema lacks is taken", messages[0]["schema"], "keyed", severity)
    if target.reader is not None and len(load.rows("keyed")) < 2:
        yield Finding("exit code 0, but records without their key replaced each other", load.rows("keyed"), "keyed")


_TYPE_FORMS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "scalar": ({"type": "integer"}, (1, 2)),
    "listed": ({"type": ["integer"]}, (1, 2)),
    "null first": ({"type": ["null", "number"]}, (1.5, None)),
    "null last": ({"type": ["number", "null"]}, (1.5, None)),
    "null only": ({"type": "null"}, (None, None)),
    "untyped": ({"description": "anything"}, ("text", "more")),
    "several": ({"type": ["string", "integer", "null"]}, ("text", 5)),
    "enumerated": ({"enum": ["red", "green"]}, ("red", "green")),
    "constant": ({"const": "same"}, ("same", "same")),
    "typed list": ({"type": "string", "enum": ["red", "green"]}, ("red", "green")),
}
for _number, (_name, (_form, _values)) in enumerate(_TYPE_FORMS.items()):
    register_case(f"type form: {_name}", _of_type(f"type_form_{_number}", _form, *_values), "type forms")


@target_rule(
    "TGT-034",
    "all ways to write a type are understood",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md: targets handle valid JSON Schemas as well as they can; JSON Schema: type",
    remedy="Read `type` as a text or a list, with null anywhere; without it let the values (enum, const) say the type.",
)
def all_forms_of_type(target: TargetLab) -> Iterator[Finding]:
    """Load a stream for each form: scalar, list, null first, last and alone, absent, several, enum, const."""
    for name in _TYPE_FORMS:
        yield from taken_or_refused(target, f"type form: {name}")


_MOMENT = {"type": "string", "format": "date-time"}
_UNIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "anyOf with null": ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, (1, None)),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, (1, "text")),
    "allOf": ({"allOf": [{"type": "string"}, {"maxLength": 9}]}, ("one", "two")),
    "moment or text": ({"anyOf": [_MOMENT, {"type": ["string", "null"]}]}, (_INSTANT, "some day", None)),
    "object or text": ({"anyOf": [{"type": "object"}, {"type": "string"}]}, ({"a": 1}, "text")),
}
for _number, (_name, (_form, _values)) in enumerate(_UNIONS.items()):
    register_case(f"union: {_name}", _of_type(f"union_{_number}", _form, *_values), "unions")


@target_rule(
    "TGT-035",
    "values that match a branch of anyOf, oneOf or allOf are loaded",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md: targets handle valid JSON Schemas as well as they can",
    remedy="Find the column type that holds all branches; text holds date-times and other text alike.",
)
def unions_are_loaded(target: TargetLab) -> Iterator[Finding]:
    """Load a value for each branch of five unions."""
    for name in _UNIONS:
        yield from taken_or_refused(target, f"union: {name}")


register_case("any value", _of_type("any_value", {}, "text", 5, None), "open schemas")
_OPEN_ROOTS: dict[str, dict[str, Any]] = {"open": {}, "unlisted": {"type": "object"}}
for _name, _root in _OPEN_ROOTS.items():
    register_case(f"root: {_name}", _with_root(f"root_{_name}", _root, []), "open schemas")


@target_rule(
    "TGT-036",
    "schemas that say nothing are loaded or refused in plain words",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md; JSON Schema: the empty schema allows everything",
    remedy="Store a property whose schema is {} as text or JSON; refuse a stream without properties by its name.",
)
def open_schemas(target: TargetLab) -> Iterator[Finding]:
    """Load a property with the schema {}, then streams whose whole schema names no property."""
    yield from taken_or_refused(target, "any value")
    for name in ("open", "unlisted"):
        shared = target.shared(f"root: {name}")
        if not shared.ok:
            yield from unclear(shared.load, [f"root_{name}"], shared.sent[0])
        elif target.reader is not None and len(shared.rows(f"root_{name}")) != 2:
            what = f"exit code 0, but {len(shared.rows(f'root_{name}'))} of 2 records are there"
            yield Finding(what, shared.sent[0], f"root_{name}", Severity.MUST)


_PROPERTIES = {"id": ID, "name": TEXT}
_ROOTS: dict[str, dict[str, Any]] = {
    "nullable": {"type": ["null", "object"], "properties": _PROPERTIES},
    "untyped": {"properties": _PROPERTIES},
    "patterned": {"type": "object", "properties": _PROPERTIES, "patternProperties": {"^x_": TEXT}},
    "dated": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": _PROPERTIES},
}
for _name, _root in _ROOTS.items():
    register_case(f"root: {_name}", _with_root(f"root_{_name}", _root, ["id"]), "roots")


@target_rule(
    "TGT-037",
    "the root of a schema may be nullable, untyped or have patterns",
    severity=Severity.SHOULD,
    source="DISCOVERY_MODE.md: schemas of streams; JSON Schema",
    remedy="Look at the properties of a schema whatever the type of its root.",
)
def unusual_roots(target: TargetLab) -> Iterator[Finding]:
    """Load a stream for each form of the root."""
    for name in _ROOTS:
        yield from taken_or_refused(target, f"root: {name}")


register_case(
    "reference",
    _of_type("referring", {"$ref": "#/definitions/word"}, "one", "two", definitions={"word": {"type": "string"}}),
    "references",
)


@target_rule(
    "TGT-038",
    "$ref is resolved or refused in plain words",
    severity=Severity.SHOULD,
    source="DISCOVERY_MODE.md: $ref is to be resolved",
    remedy="Resolve references within the document, or name the $ref in the error.",
)
def references_are_resolved_or_refused(target: TargetLab) -> Iterator[Finding]:
    """Load a property that refers to a definition in the same document."""
    shared = target.shared("reference")
    if shared.ok:
        yield from lost(target, shared.load.destination, shared.sent, "referring")
    else:
        yield from unclear(shared.load, ["$ref", "referring", "reference"], shared.sent[0])


@target_rule(
    "TGT-039",
    "what is no JSON Schema is refused",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: `schema` is a JSON Schema",
    remedy="Check the schema when it comes; name the stream and what is wrong in the error.",
)
def an_invalid_schema_is_refused(target: TargetLab) -> Iterator[Finding]:
    """Send the type ``integr``."""
    messages = _of_type("misspelt", {"type": "integr"}, 1, 2)()
    load = target.load([*messages, state({"n": 1})])
    if not load.ok:
        yield from unclear(load, ["misspelt", "integr"], messages[0])
    else:
        yield Finding("a type that JSON Schema does not know is taken", messages[0], "misspelt", Severity.SHOULD)
        yield from lost(target, load.destination, messages, "misspelt")


_INVALID: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "type": ({}, {"id": 2, "count": "many"}),
    "required": ({"required": ["id", "count"]}, {"id": 2}),
    "additionalProperties": ({"additionalProperties": False}, {"id": 2, "count": 1, "more": 1}),
}


@target_rule(
    "TGT-046",
    "a record that contradicts its schema is not lost in silence",
    severity=Severity.SHOULD,
    source="RUNNING_AND_DEVELOPING.md, Targets: validate records against the schema",
    remedy="Validate records and end the run with an error that names stream and property, or log what is left out.",
)
def invalid_records_are_not_lost(target: TargetLab) -> Iterator[Finding]:
    """Send a wrong type, a missing required property and a forbidden one."""
    for keyword, (rules, row) in _INVALID.items():
        load, messages = _load_invalid(target, rules, row)
        if not load.ok:
            yield from unclear(load, ["invalid", "count", "more"], messages[-1])
        elif target.reader is not None and not any(str(each.get("id")) == "2" for each in load.rows("invalid")):
            told = any(word in load.errors.lower() for word in ("skip", "reject", "invalid", "dropped", "left out"))
            severity = Severity.SHOULD if told else Severity.MUST
            yield Finding(
                f"exit code 0, but a record against `{keyword}` is missing", messages[-1], "invalid", severity
            )
        else:
            yield Finding(f"a record against `{keyword}` is taken", messages[-1], "invalid", Severity.INFO)


def _load_invalid(target: TargetLab, rules: dict[str, Any], row: dict[str, Any]) -> tuple[Load, list[Message]]:
    first = schema("invalid", {"id": ID, "count": {"type": "integer"}}, ["id"])
    first["schema"].update(rules)
    messages = [first, record("invalid", id=1, count=1), record("invalid", row)]
    return target.load([*messages, state({"n": 2})]), messages


register_case(
    "undeclared",
    lambda: [
        schema("undeclared", {"id": ID, "name": TEXT}, ["id"]),
        record("undeclared", id=1, name="one"),
        record("undeclared", id=2, name="two", surprise="hidden treasure"),
    ],
    "undeclared",
)


@target_rule(
    "TGT-047",
    "a property that the schema lacks is kept, refused, or dropped with a word in the log",
    severity=Severity.SHOULD,
    source="not specified; BEST_PRACTICES.md: taps announce all properties",
    remedy="Store it, refuse it, or warn once that the stream's schema lacks it.",
)
def undeclared_properties(target: TargetLab) -> Iterator[Finding]:
    """Send a property that the schema does not name."""
    shared = target.shared("undeclared")
    if not shared.ok or target.reader is None:
        return
    rows = shared.rows("undeclared")
    if len(rows) != 2:
        yield Finding(f"exit code 0, but {len(rows)} of 2 records are there", rows, "undeclared", Severity.MUST)
    elif "hidden treasure" not in str(rows) and "surprise" not in shared.load.errors:
        yield Finding("a property that the schema lacks is dropped without a word", shared.sent[-1], "undeclared")


register_case(
    "whole number",
    lambda: [schema("whole", {"id": ID}, ["id"]), b'{"type":"RECORD","stream":"whole","record":{"id":1.0}}'],
    "whole numbers",
)


@target_rule(
    "TGT-048",
    "1.0 is an integer",
    severity=Severity.INFO,
    source="JSON Schema since draft 6; draft 4 says otherwise",
    remedy="Take a number without a fraction for an integer, or refuse it.",
)
def a_whole_number_is_an_integer(target: TargetLab) -> Iterator[Finding]:
    """Send 1.0 for an integer."""
    shared = target.shared("whole number")
    if not shared.ok:
        yield Finding(f"1.0 is refused: {shared.load.how_it_ended()}", stream="whole")
    elif target.reader is not None and len(shared.rows("whole")) != 1:
        yield Finding("exit code 0, but the record is missing", shared.sent[-1], "whole", Severity.MUST)


@case("no records")
def _no_records() -> Iterator[Message]:
    yield schema("empty", {"id": ID, "name": TEXT}, ["id"])


@target_rule(
    "TGT-049",
    "a stream without records is no error",
    severity=Severity.SHOULD,
    source="SPEC.md, SCHEMA: nothing says that a record must follow; empty streams are common",
    remedy="Do nothing, or make an empty table, when a stream has a SCHEMA and no RECORD.",
)
def a_stream_without_records_is_no_error(target: TargetLab) -> Iterator[Finding]:
    """Send a SCHEMA alone."""
    yield from taken_whole(target, "no records")
