import json
import logging
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pprint import pformat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.errors import DataError, MissingKeyPropertiesError
from singerkit.records.rejection import LineRejected
from singerkit.records.validate import compile_decoder


def stream(**properties):
    return {"type": "object", "properties": properties}


def line(record, **envelope):
    text = record if isinstance(record, str) else json.dumps(record)
    more = "".join(f',"{name}":{json.dumps(value)}' for name, value in envelope.items())
    return f'{{"type":"RECORD","stream":"s","record":{text}{more}}}\n'.encode()


def decode(schema, *records, **options):
    """Decode records (dicts or JSON texts) as one block; twice, as the second time the decoder may have learned."""
    decoder = compile_decoder(schema, **options)
    block = b"".join(map(line, records))
    first = [envelope.record for envelope in decoder(block)]
    for again in (block, b"\n" + block):  # a blank line is for the general path
        assert pformat([envelope.record for envelope in decoder(again)]) == pformat(first)
    return first


def rejection(schema, *records, **options):
    with pytest.raises(LineRejected) as caught:
        compile_decoder(schema, **options)(b"".join(map(line, records)))
    assert "C4NARY" not in caught.value.describe()
    return caught.value


# -- envelopes and blocks ----------------------------------------------------------------------------------------------


def test_envelope_holds_record_version_and_time():
    (envelope,) = compile_decoder(stream(a={}))(line({"a": 1}, version=7, time_extracted="2024-01-01T00:00:00Z"))
    assert (envelope.record, envelope.version, envelope.time_extracted) == ({"a": 1}, 7, "2024-01-01T00:00:00Z")


def test_records_may_stay_as_they_came():
    came = '{ "b":1.500,\r"more":"\\u00e9", "a":1e2 }'
    schema = stream(a={"type": "number"}, b={"type": "number", "maximum": 2})
    decoder = compile_decoder(schema, keep_raw=True, exact_numbers=True)
    decoder(line(came))  # what no schema names is learned first
    (envelope,) = decoder(line(came))
    assert bytes(envelope.record) == came.replace("\r", " ").encode()
    assert rejection(schema, {"a": 1}, {"b": 3}, keep_raw=True).index == 1
    decoder = compile_decoder(stream(a={"type": "integer"}), keep_raw=True)
    assert [envelope.record for envelope in decoder(line('{"a":1.0}'))] == [{"a": 1}]  # what has to change is decoded


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_blocks_may_end_without_newline_and_hold_blank_lines(ending):
    lines = [line({"a": number}).strip() for number in range(3)]
    decoder = compile_decoder(stream(a={"type": "integer"}))
    for block in (ending.join(lines), ending.join(lines) + ending, ending.join([lines[0], b"", b"  ", *lines[1:]])):
        assert [envelope.record["a"] for envelope in decoder(block)] == [0, 1, 2]
    assert decoder(b"") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"nonsense", "not JSON"),
        (b'{"type":"RECORD","record":{"a":1}', "not JSON"),
        (b'{"type":"RECORD","record":{"a":"C4NARY",}}', "not JSON"),
        (b'{"type":"RECORD","record":{"a":NaN}}', "NaN is no JSON number"),
        (b'{"type":"RECORD","record":{"a":-Infinity}}', "no JSON number"),
        (b'{"type":"RECORD","record":{"a":"C4NARY\xff"}}', "not UTF-8"),
        (b'{"type":"STATE","value":{}}', "no RECORD message"),
        (b'{"record":{"a":1}}', "no RECORD message"),
        (b"[1]", "no RECORD message"),
        (b'{"type":"RECORD"}', "no object named 'record'"),
        (b'{"type":"RECORD","record":["C4NARY"]}', "no object named 'record'"),
        (b'{"type":"RECORD","record":{},"version":true}', "version"),
        (b'{"type":"RECORD","record":{},"time_extracted":5}', "time_extracted"),
        (line({"a": 1}).strip() + line({"a": 2}), "not JSON"),
    ],
)
def test_malformed_lines_are_named(text, reason):
    with pytest.raises(LineRejected, match=reason) as caught:
        compile_decoder(stream(a={}), validate=False)(line({"a": 1}) + text + b"\n" + b"worse\n")
    assert (caught.value.index, caught.value.malformed) == (1, True)
    assert "C4NARY" not in caught.value.describe()


def test_a_message_over_two_lines_is_malformed():
    with pytest.raises(LineRejected) as caught:
        compile_decoder(stream(a={}))(b'{"type":"RECORD",\n"record":{"a":1}}\n')
    assert caught.value.index == 0


# -- values ------------------------------------------------------------------------------------------------------------


def test_records_hold_what_the_line_held():
    schema = stream(a={"type": ["integer", "null"]}, b={"type": ["object", "null"], "properties": {"c": {}}})
    records = [{"a": None}, {}, {"a": 2**80, "b": {"c": None, "new": [1, {"x": None}]}}, {"b": None, "other": "é"}]
    assert decode(schema, *records) == records


def test_numbers_are_floats_where_the_schema_says_number_and_exact_elsewhere():
    schema = stream(
        number={"type": ["number", "null"]},
        either={"anyOf": [{"type": "number"}, {"type": "null"}]},
        cents={"type": "number", "multipleOf": 0.01},
        tiny={"type": "number", "multipleOf": 1e-38, "maximum": 1e62, "exclusiveMaximum": True},
        decimal={"type": ["null", "number"], "format": "singer.decimal"},
        nested={"type": "object", "properties": {"n": {"type": "number"}}},
        listed={"type": "array", "items": {"type": "number"}},
        free={},
    )
    values = dict.fromkeys(("number", "either", "cents", "tiny", "decimal", "free", "new"), "12345678901234567.10")
    text = json.dumps({**values, "nested": {"n": "N", "o": "O"}, "listed": ["N", 1]})
    for quoted, bare in (('"12345678901234567.10"', "12345678901234567.10"), ('"N"', "0.1"), ('"O"', "1.00")):
        text = text.replace(quoted, bare)
    (record,) = decode(schema, text)
    exact, near = Decimal("12345678901234567.10"), 12345678901234567.10
    assert pformat(record) == pformat(
        {
            "number": near,
            "either": near,
            "cents": exact,
            "tiny": exact,
            "decimal": exact,
            "nested": {"n": 0.1, "o": Decimal("1.00")},
            "listed": [0.1, 1],
            "free": exact,
            "new": exact,
        }
    )


@pytest.mark.parametrize("text", ["1.10", "5", "100000000000000000000000.000000000000001", "1E+400"])
def test_exact_numbers_on_request(text):
    (record,) = decode(stream(n={"type": "number"}, i={"type": "integer"}), f'{{"n":{text},"i":1}}', exact_numbers=True)
    assert repr(record["n"]) == repr(int(text) if text == "5" else Decimal(text))
    assert rejection(stream(n={"type": "number"}), {"n": "1.5"}, exact_numbers=True).index == 0
    assert rejection(stream(n={"type": "number"}), {"n": None}, exact_numbers=True).index == 0


def test_an_integer_may_be_written_with_a_zero_fraction():
    assert repr(decode(stream(a={"type": "integer"}), '{"a":1.0}', '{"a":1E2}')) == "[{'a': 1}, {'a': 100}]"


def test_a_number_beyond_floats_stays_exact():
    assert decode(stream(a={"type": "number"}), '{"a":1e400}') == [{"a": Decimal("1E+400")}]


@pytest.mark.parametrize("number", ["9" * 5000, "1e5000", "1e-5000", "1." + "3" * 5000, "1e999999999999"])
def test_numbers_that_are_too_long_are_rejected(number):
    rejected = rejection(stream(a={}), '{"a":1}', f'{{"a":{number}}}')
    assert (rejected.index, rejected.malformed) == (1, False)
    assert "4300 digits" in rejected.describe()


@pytest.mark.parametrize("validate", [True, False])
def test_deep_nesting_is_rejected(validate):
    depth = 100_000
    for value in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        rejected = rejection(stream(a={}), f'{{"a":{value}}}', validate=validate)
        assert "nested too deeply" in rejected.describe()


def test_lone_surrogates_are_kept_and_judged():
    schema = stream(a={"type": "string", "maxLength": 2}, b={"type": "string"})
    assert decode(schema, r'{"a":"\ud800x","b":"\udfff"}') == [{"a": "\ud800x", "b": "\udfff"}]
    assert rejection(schema, r'{"a":"\ud800xx"}').violations == ["/a: maxLength: expected at most 2 characters"]


def test_the_last_of_equal_names_counts():
    assert decode(stream(a={"type": "integer"}), '{"a":"x","a":2}', '{"a":1,"a":3}') == [{"a": 2}, {"a": 3}]


def test_strings_that_look_like_decimals_are_no_numbers():
    schema = stream(a={"type": "number", "multipleOf": 0.01})
    assert rejection(schema, '{"a":"1.50"}').violations == ["/a: type: expected number"]


def test_unknown_properties_keep_their_values_after_learning():
    schema = stream(a={"type": "integer"}, o={"type": "object", "properties": {"k": {"type": "string"}}})
    decoder = compile_decoder(schema)
    for round_number in range(30):
        record = {"a": 1, f"new{round_number}": 1.5, "o": {"k": "x", f"deep{round_number}": [None]}}
        (envelope,) = decoder(line(record))
        assert envelope.record == {**record, f"new{round_number}": Decimal("1.5")}


def test_learned_properties_still_obey_additional_properties():
    schema = {**stream(a={}), "additionalProperties": {"type": "integer"}}
    decoder = compile_decoder(schema)
    assert decoder(line({"b": 1}))[0].record == {"b": 1}
    assert decoder(line({"b": 2, "c": 3}))[0].record == {"b": 2, "c": 3}
    with pytest.raises(LineRejected):
        decoder(line({"b": "x"}))


def test_records_without_declared_properties():
    for schema in ({}, {"type": "object"}, {"type": ["null", "object"], "properties": {}}):
        assert decode(schema, '{"id":1,"a":1.50}', key_properties=["id"]) == [{"id": 1, "a": Decimal("1.50")}]
        assert rejection(schema, '{"a":1.50}', key_properties=["id"]).index == 0


# -- verdicts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "violation"),
    [
        ({"type": ["integer", "null"]}, "C4NARY", "/a: type: expected integer or null"),
        ({"type": "integer"}, True, "/a: type: expected integer"),
        ({"type": "number"}, False, "/a: type: expected number"),
        ({"type": "string"}, None, "/a: type: expected string"),
        ({"type": "integer"}, 1.5, "/a: type: expected integer"),
        ({"type": "integer", "minimum": 0.5}, 0, "/a: minimum: expected at least 0.5"),
        ({"type": "integer", "maximum": 2**64}, 2**64 + 1, f"/a: maximum: expected at most {2**64}"),
        ({"type": "number", "maximum": 3, "exclusiveMaximum": True}, 3, "/a: exclusiveMaximum: expected less than 3"),
        ({"type": "number", "multipleOf": 0.01}, 0.005, "/a: multipleOf: expected a multiple of 0.01"),
        ({"type": "string", "minLength": 2}, "\U0001f600", "/a: minLength: expected at least 2 characters"),
        ({"type": "string", "pattern": "^a"}, "C4NARY", '/a: pattern: expected text that matches "^a"'),
        ({"enum": ["x", 1]}, "C4NARY", '/a: enum: expected one of ["x", 1]'),
        ({"const": 1}, True, "/a: const: expected 1"),
        ({"type": "array", "items": {"type": "string"}}, ["x", 5], "/a/1: type: expected string"),
        ({"type": "array", "uniqueItems": True}, [1, 1], "/a: uniqueItems: expected no two equal items"),
        ({"type": "object", "required": ["b"]}, {}, '/a: required: expected a property "b"'),
        (
            {"type": "object", "additionalProperties": False},
            {"b": 1},
            "/a: additionalProperties: expected no such part",
        ),
        (
            {"type": "object", "properties": {"c": {}}, "additionalProperties": False},
            {"b": 1},
            '/a: additionalProperties: expected no properties ["b"]',
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "C4NARY", "/a: anyOf: expected what it describes"),
        ({"not": {"type": "string"}}, "C4NARY", "/a: not: expected none of what it describes"),
        (False, 1, "/a: false: expected no value at all"),
        ({"$ref": "#/definitions/text"}, 1, "/a: type: expected string"),
    ],
)
def test_violations_say_where_which_rule_and_what_was_expected(schema, value, violation):
    document = {**stream(a=schema), "definitions": {"text": {"type": "string"}}}
    rejected = rejection(document, {}, {"a": value}, {"a": value})
    assert (rejected.index, rejected.malformed, rejected.violations) == (1, False, [violation])
    assert decode(document, {"a": value}, validate=False)[0].keys() == {"a"}


def test_every_violation_is_listed():
    schema = {**stream(a={"type": "integer"}, **{"b/c~": {"type": "string"}}), "required": ["d"]}
    assert sorted(rejection(schema, {"a": "x", "b/c~": 1}).violations) == [
        '/: required: expected a property "d"',
        "/a: type: expected integer",
        "/b~1c~0: type: expected string",
    ]


def test_names_that_no_type_can_hold():
    schema = stream(a={"type": "object", "properties": {'say "hi"\n': {"type": "number"}}}, n={"type": "number"})
    records = [{"n": 1.5}, {"a": {'say "hi"\n': 1.5}, "n": 2.5}]
    assert repr(decode(schema, *records)) == repr(records)
    assert rejection(schema, {"a": {'say "hi"\n': "x"}}).index == 0


def test_control_characters_in_names_are_escaped():
    (violation,) = rejection(stream(**{"a\nb\x1b[31m": {"type": "integer"}}), {"a\nb\x1b[31m": "x"}).violations
    assert violation == r"/a\nb\u001b[31m: type: expected integer"


def test_decimals_are_judged_digit_for_digit():
    schema = stream(a={"type": ["null", "number"], "multipleOf": 1e-38, "minimum": 0.1})
    text = "12345678901234567890.12345678901234567890123456789012345678"
    assert decode(schema, f'{{"a":{text}}}', '{"a":0.1}', '{"a":null}')[0] == {"a": Decimal(text)}
    assert rejection(schema, '{"a":0.09999999999999999999999999}').index == 0
    assert rejection(stream(a={"type": "number", "multipleOf": 0.01}), '{"a":0.07}', '{"a":0.071}').index == 1


def test_formats_are_not_judged():
    assert decode(stream(a={"type": "string", "format": "email"}), {"a": "nobody"}) == [{"a": "nobody"}]


def test_types_listed_twice_are_fine():
    assert decode(stream(a={"type": ["null", "null", "string"]}), {"a": "x"}) == [{"a": "x"}]


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a|aa)+$", "(.*a){25}$", r"^(\w+\s?)*\1$", "^(?=(a+)+$)b", "(?<!a)(a+)+$"]
)
def test_patterns_end_soon(pattern):
    schema = stream(a={"type": "string", "pattern": pattern})
    assert rejection(schema, {"a": "a" * 30_000 + "!"}).index == 0


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("text", "expected an object"),
        (stream(a={"type": "integr"}), "/properties/a/type"),
        (stream(a={"type": "string", "pattern": "["}), "/properties/a/pattern"),
        (stream(a={"$ref": "file:///etc/passwd"}), "not followed"),
        (stream(a={"$ref": "#/definitions/none"}), "points to nothing"),
        ({"type": "object", "required": "a"}, "/required"),
    ],
)
def test_an_invalid_schema_is_refused_at_once(schema, reason):
    with pytest.raises(DataError, match=reason):
        compile_decoder(schema)


# -- key properties ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    "key_schema", [{"type": ["integer", "null"]}, {}, {"type": ["number", "null"], "multipleOf": 0.1}]
)
def test_key_properties_are_there_and_not_null(validate, key_schema):
    schema = stream(id=key_schema, other={"type": "string"})
    options = {"key_properties": ["id"], "validate": validate}
    assert decode(schema, {"id": 1}, {"id": 0}, **options) == [{"id": 1}, {"id": 0}]
    for record, found in (({"other": "x"}, "nothing"), ({"id": None}, "null")):
        rejected = rejection(schema, {"id": 1}, record, **options)
        assert isinstance(rejected, MissingKeyPropertiesError)
        assert (rejected.index, rejected.violations) == (1, [f"/id: key property: expected a value, found {found}"])


def test_a_key_property_that_the_schema_does_not_name():
    options = {"key_properties": ["id"]}
    assert decode(stream(a={}), {"id": 1, "a": 2}, **options) == [{"id": 1, "a": 2}]
    assert rejection(stream(a={}), {"id": None, "a": 2}, **options).index == 0
    assert rejection({**stream(a={}), "additionalProperties": False}, {"id": 1, "a": 2}, **options).index == 0


# -- without judging ---------------------------------------------------------------------------------------------------


def test_without_validation_mismatches_pass_as_decoded():
    schema = {
        **stream(
            a={"type": "integer"}, n={"type": "number"}, d={"type": "string", "format": "date"}, e={"enum": ["x"]}
        ),
        "required": ["z"],
        "additionalProperties": False,
    }
    records = ['{"a":"x","n":"y","d":5,"e":"q"}', '{"d":"2024-02-30"}', '{"d":"2024-01-31","n":1.5,"a":1.5,"new":1}']
    assert decode(schema, *records, validate=False) == [
        {"a": "x", "n": "y", "d": 5, "e": "q"},
        {"d": "2024-02-30"},
        {"d": date(2024, 1, 31), "n": 1.5, "a": Decimal("1.5"), "new": 1},
    ]


# -- dates -------------------------------------------------------------------------------------------------------------

INSTANT = {"type": ["string", "null"], "format": "date-time"}
DATES = stream(
    instant=INSTANT,
    day={"type": "string", "format": "date"},
    time={"type": "string", "format": "time"},
    either={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    text={"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]},
    limited={"type": "string", "format": "date-time", "maxLength": 30},
    nested={"type": "object", "properties": {"instant": INSTANT}},
)


def test_dates_of_a_record_are_parsed_and_nested_ones_stay():
    text = "2024-03-05T12:34:56.789+02:00"
    instant = datetime(2024, 3, 5, 12, 34, 56, 789000, tzinfo=timezone(timedelta(hours=2)))
    record = {"instant": text, "day": "2024-03-05", "time": "12:34:56", "either": text, "text": text, "limited": text}
    (parsed,) = decode(DATES, {**record, "nested": {"instant": text}})
    assert parsed == {
        **dict.fromkeys(["instant", "either", "text", "limited"], instant),
        "day": date(2024, 3, 5),
        "time": time(12, 34, 56),
        "nested": {"instant": text},
    }
    assert decode(DATES, record, parse_datetimes=False) == [record]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02t03:04:05z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
        ("2024-01-02", datetime(2024, 1, 2)),
        ("2024-01-02T03:04:05.123456000Z", datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("20240102T030405.5+0000", datetime(2024, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
    ],
)
def test_forms_of_instants(text, instant):
    first, last = decode(stream(a=INSTANT), {"a": text}, {"a": None})
    assert (first, last) == ({"a": instant}, {"a": None})
    assert first["a"].tzinfo == instant.tzinfo


@pytest.mark.parametrize(
    "text", ["C4NARY", "", "2024-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "2024-01-01T00:00:00+99:00"]
)
def test_a_text_that_is_no_date_is_rejected(text):
    rejected = rejection(stream(a=INSTANT), {"a": "2024-01-01T00:00:00Z"}, {"a": text})
    assert rejected.index == 1
    assert rejected.violations == ["/a: format: expected a date-time that exists, as ISO 8601"]
    assert decode(stream(a=INSTANT), {"a": text}, validate=False) == [{"a": text}]


def test_text_stays_where_the_schema_also_allows_plain_text():
    assert decode(DATES, {"text": "soon"}) == [{"text": "soon"}]


@pytest.mark.parametrize(
    "text", ["2024-01-01T00:00:00.1234567Z", "20240101T000000.123456999", "2024-01-01T00:00:00.123456\\u0037Z"]
)
def test_digits_beyond_microseconds_are_cut_and_told(text):
    told = []
    decoder = compile_decoder(stream(a=INSTANT, b={}), on_change=lambda *change: told.append(change))
    for count in (2, 4):
        first, *_ = decoder(line(f'{{"a":"{text}"}}') * 2)
        assert first.record["a"].microsecond == 123456
        assert told == [("/a", "cut to microseconds")] * count


def test_changes_are_counted_in_the_log(caplog):
    decoder = compile_decoder(stream(a=INSTANT))
    with caplog.at_level(logging.WARNING):
        decoder(line({"a": "2024-01-01T00:00:00.1234567Z"}) * 25)
    assert [record.getMessage() for record in caplog.records] == [
        "property '/a': cut to microseconds (1 values so far)",
        "property '/a': cut to microseconds (10 values so far)",
    ]


def test_texts_that_look_like_fine_times_are_left_alone():
    record = {"a": "2024-01-01T00:00:00Z", "note": "at 12:34:56.123456789 \\u0031"}
    (parsed,) = decode(stream(a=INSTANT, note={"type": "string"}), record)
    assert parsed == {"a": datetime(2024, 1, 1, tzinfo=UTC), "note": record["note"]}


NEAR_DATES = st.from_regex(
    r"(2024|0001|9999|0000)-(01|02|12|13)-(01|29|31)([Tt _](00|23|24):(00|59)(:(00|59|60)([.,][0-9]{1,9})?)?)?"
    r"([Zz]|[+-](00|01|23|24):?(00|59))?",
    fullmatch=True,
) | st.from_regex(r"(00|23|24):(00|59)(:(00|59|60)(\.[0-9]{1,9})?)?([Zz]|[+-](00|23|24):?(00|59))?", fullmatch=True)


@settings(max_examples=400, deadline=None)
@given(st.lists(NEAR_DATES, min_size=1, max_size=2), st.sampled_from(["date-time", "date", "time"]), st.booleans())
def test_dates_are_read_alike_by_type_and_line_by_line(texts, text_format, validate):
    decoder = compile_decoder(
        stream(a={"type": "string", "format": text_format}), validate=validate, on_change=lambda *_: None
    )
    block = b"".join(line({"a": text}) for text in texts)
    outcomes = []
    for one in (block, b"\n" + block, block):
        try:
            outcomes.append([repr(envelope.record) for envelope in decoder(one)])
        except LineRejected as rejected:
            outcomes.append(rejected.violations)
    assert outcomes[0] == outcomes[1] == outcomes[2]
