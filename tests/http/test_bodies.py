from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError, FatalAPIError, RetriableAPIError
from singerkit.http.bodies import (
    BodyDeclaration,
    CSVFormat,
    JSONArrayFormat,
    JSONLinesFormat,
    XMLFormat,
    base,
    json_array,
    json_lines,
    xml_elements,
)
from singerkit.http.client import compile_body_decoder

PROPERTIES = {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}, "price": {"type": ["number", "null"]}}


def declared(path="$[*]", *, exact=False, absent=False, properties=PROPERTIES) -> BodyDeclaration:
    return BodyDeclaration(
        properties=properties,
        records_jsonpath=path,
        records_may_be_absent=absent,
        exact_numbers=exact,
        decode=compile_body_decoder(exact_numbers=exact),
    )


def read(body_format, text: bytes, *args, **options) -> list[dict]:
    file = io.BytesIO(text)
    body_format.check(file)
    blocks = list(body_format.compile(declared(*args, **options))(file))
    assert all(blocks)
    return [record for block in blocks for record in block]


@pytest.fixture
def small_pieces(monkeypatch):
    """Bodies of any size are read a few bytes at a time."""
    monkeypatch.setattr(json_array, "_SMALL_BYTES", 0)
    for module in (base, json_array, json_lines, xml_elements):
        monkeypatch.setattr(module, "PIECE_BYTES", 7)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), max_size=6)


# JSON arrays


@pytest.mark.parametrize("piece_bytes", [1, 7, 64])
@settings(max_examples=40)
@given(records=RECORDS, before=VALUES, after=VALUES, indent=st.sampled_from([None, 1]), depth=st.integers(0, 3))
def test_an_array_is_cut_between_its_elements(piece_bytes, records, before, after, indent, depth):
    body: object = records
    for _ in range(depth):
        body = {"before": before, "data": body, "after": after}
    path = "$" + ".data" * depth + "[*]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_SMALL_BYTES", 0)
        patch.setattr(json_array, "PIECE_BYTES", piece_bytes)
        text = json.dumps(body, indent=indent, ensure_ascii=bool(indent)).encode("utf-8", "surrogatepass")
        if "\\ud" in json.dumps(body):
            return
        assert read(JSONArrayFormat(), text, path) == records


@given(records=RECORDS.filter(bool), cut=st.integers(1, 10**6), depth=st.integers(0, 1))
def test_an_array_that_breaks_off_is_never_taken_for_whole(records, cut, depth):
    body: object = {"data": records, "n": 1} if depth else records
    text = json.dumps(body).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_SMALL_BYTES", 0)
        patch.setattr(json_array, "PIECE_BYTES", 5)
        with pytest.raises((RetriableAPIError, FatalAPIError)):
            read(JSONArrayFormat(), text[: -(cut % len(text) or 1)], "$.data[*]" if depth else "$[*]")


@pytest.mark.parametrize(
    "text",
    [
        b'{"error": "no", "padding": [1]}',
        b'{"data": 1, "x": {"data": [{}]}}',
        b'{"x": {"data": [{"id": 1}]}}',
        b'{"data": {"data": []}}',
        b'[{"id": 1}]',
    ],
)
@pytest.mark.usefixtures("small_pieces")
def test_an_array_that_is_not_there(text):
    with pytest.raises(FatalAPIError, match=r"no array at \$.data\[\*\]"):
        read(JSONArrayFormat(), text, "$.data[*]")


def test_a_small_body_is_judged_as_any_other():
    with pytest.raises(FatalAPIError, match="an error object instead of records"):
        read(JSONArrayFormat(), b'{"error": "no"}', "$.data[*]")
    assert read(JSONArrayFormat(), b"{}", "$.data[*]", absent=True) == []


@pytest.mark.usefixtures("small_pieces")
def test_elements_have_to_be_objects():
    with pytest.raises(FatalAPIError, match="not all JSON objects"):
        read(JSONArrayFormat(), b'[{"id": 1}, [2]]')


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "text", [b'[{"id": 1} {"id": 2}]', b'[{"id": 1},, {"id": 2}]', b'[{"id": 1},]', b'[{"id": 1}}]', b"[,{}]"]
)
def test_what_is_no_json(text):
    with pytest.raises(RetriableAPIError, match="the answer is not JSON"):
        read(JSONArrayFormat(), text)


@pytest.mark.parametrize("text", [b"", b"  ", b"<html></html>", b'[{"id": 1', b'{"data": []]'])
def test_ends_that_do_not_belong_together(text):
    with pytest.raises(RetriableAPIError):
        read(JSONArrayFormat(), text)


@pytest.mark.usefixtures("small_pieces")
def test_numbers_of_an_array():
    text = b'[{"price": 0.1000000000000000055511151231257827, "id": 123456789012345678901234567890}, {"price": NaN}]'
    exact, odd = read(JSONArrayFormat(), text, exact=True)
    assert exact == {"price": Decimal("0.1000000000000000055511151231257827"), "id": 123456789012345678901234567890}
    assert repr(odd) == "{'price': nan}"


def test_a_path_that_can_not_be_cut():
    with pytest.raises(ConfigurationError, match="can't be read a piece at a time"):
        JSONArrayFormat().compile(declared("$..data[?@.id]"))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("body_format", [JSONArrayFormat(), JSONLinesFormat(), XMLFormat("a/b")])
def test_a_record_has_a_bound(monkeypatch, body_format):
    for module in (json_array, json_lines, xml_elements):
        monkeypatch.setattr(module, "MAX_RECORD_BYTES", 1000)
    long = b"x" * 5000
    text = b"<a><b>%s</b></a>" % long if body_format.kind == "XML" else b'{"name": "%s"}' % long
    with pytest.raises(FatalAPIError, match="more than one record may have"):
        read(body_format, b"[%s]" % text if body_format.kind == "JSON" else text)


# JSON lines


@given(records=RECORDS.filter(bool), newline=st.sampled_from(["\n", "\r\n", "\n\n"]), last=st.booleans())
def test_lines(records, newline, last):
    text = newline.join(json.dumps(record) for record in records) + (newline if last else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "PIECE_BYTES", 9)
        assert read(JSONLinesFormat(), text.encode(), properties={"error": {}, "message": {}}) == records


@pytest.mark.parametrize(
    "text", [b'{"id": 1}\n{"id"', b"<html>\n</html>\n", b'{"id": 1}\n[1]\n{', b'{"a": {"b": 1}\n{"a": {}']
)
def test_lines_that_break_off(text):
    with pytest.raises(RetriableAPIError, match="not JSON lines"):
        read(JSONLinesFormat(), text)


def test_lines_with_something_else_between_them():
    with pytest.raises(RetriableAPIError, match="see line 1 or one of the lines after it"):
        read(JSONLinesFormat(), b'{"id": 1}\n{oops}\n{"id": 2}\n')
    with pytest.raises(FatalAPIError, match="not all JSON objects"):
        read(JSONLinesFormat(), b'{"id": 1}\n7\n{"id": 2}\n')
    with pytest.raises(FatalAPIError, match="error object"):
        read(JSONLinesFormat(), b'{"error": "no"}\n')


def test_numbers_of_lines():
    assert read(JSONLinesFormat(), b'{"price": 0.10}', exact=True) == [{"price": Decimal("0.10")}]
    assert repr(read(JSONLinesFormat(), b'{"price": NaN}')) == "[{'price': nan}]"


# CSV


def test_rows_become_what_the_schema_asks():
    text = '\ufeffid,name,price,other\n1,"a ""b"",\nc",1.50,007\n2,,,\n\n'.encode()
    assert read(CSVFormat(), text) == [
        {"id": 1, "name": 'a "b",\nc', "price": 1.5, "other": "007"},
        {"id": 2, "name": None, "price": None, "other": ""},
    ]
    assert read(CSVFormat(), text, exact=True)[0]["price"] == Decimal("1.50")


def test_rows_as_declared():
    body_format = CSVFormat(delimiter=";", quotechar="'", encoding="latin-1", columns=("id", "name"))
    assert read(body_format, "1;'ä;'\n".encode("latin-1")) == [{"id": 1, "name": "ä;"}]


TYPES = {
    "integer": ("12", 12),
    "number": ("1e3", 1000.0),
    "boolean": ("True", True),
    "string": ("12", "12"),
}


@pytest.mark.parametrize("name", TYPES)
def test_values_by_type(name):
    text, value = TYPES[name]
    found = read(CSVFormat(), f"id,x\n1,{text}\n1,odd\n".encode(), properties={"id": {}, "x": {"type": name}})
    assert found[0]["x"] == value
    assert type(found[0]["x"]) is type(value)
    assert found[1]["x"] == "odd"  # for the validator to reject


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "empty"),
        (b"<html><body>oops</body></html>", "none of the stream's properties"),
        (b"id,name\n1\n", "1 fields, not 2"),
        (b"id,name\n1,2,3\n", "3 fields, not 2"),
        (b'id,name\n1,"a\n', "see line"),
        (b"id,name\n1,\xff\n", "see line"),
    ],
)
def test_what_is_no_csv(text, what):
    with pytest.raises(RetriableAPIError, match=what):
        read(CSVFormat(), text)


def test_columns_of_the_same_name():
    with pytest.raises(FatalAPIError, match="the same name"):
        read(CSVFormat(), b"id,id\n1,2\n")


# XML

ORDERS = b"""<?xml version="1.0"?>
<o:orders xmlns:o="urn:x">
  <page>1</page>
  <o:order id="7" o:kind="a"><id>1</id><name>A &amp; <![CDATA[<B>]]></name><price>1.5</price><line>x</line></o:order>
  <order><id>2</id><name/><line>y</line><line>z</line><who><id>3</id></who></order>
  <order>text</order>
</o:orders>"""
WITH_LINES = {**PROPERTIES, "line": {"type": "array", "items": {"type": "string"}}, "@id": {"type": "integer"}}
WITH_LINES["who"] = {"type": "object", "properties": {"id": {"type": "integer"}}}


@pytest.mark.parametrize("piece_bytes", [1, 7, 10**6])
def test_elements_become_objects(monkeypatch, piece_bytes):
    monkeypatch.setattr(xml_elements, "PIECE_BYTES", piece_bytes)
    assert read(XMLFormat("orders/order"), ORDERS, properties=WITH_LINES) == [
        {"@id": 7, "@kind": "a", "id": 1, "name": "A & <B>", "price": 1.5, "line": ["x"]},
        {"id": 2, "name": None, "line": ["y", "z"], "who": {"id": 3}},
        {"#text": "text"},
    ]


def test_no_elements_are_no_records():
    assert read(XMLFormat("orders/order"), b"<orders/>") == []


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY x "yyyy"><!ENTITY z "&x;&x;&x;">]><a><b>&z;</b></a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
        b"<!DOCTYPE a><a/>",
    ],
)
def test_a_document_type_is_refused(document):
    with pytest.raises(FatalAPIError, match="document type declaration"):
        read(XMLFormat("a/b"), document)


@pytest.mark.parametrize("document", [b"<a><b>1</b>", b"<a><b>&undefined;</b></a>", b'{"a": 1}', b"", b"<a></b>"])
def test_what_is_no_xml(document):
    with pytest.raises(RetriableAPIError):
        read(XMLFormat("a/b"), document)


def test_another_root_is_an_error():
    with pytest.raises(FatalAPIError, match="root is not <orders>"):
        read(XMLFormat("orders/order"), b"<error><message>no</message></error>")


def test_elements_within_each_other_have_a_bound():
    with pytest.raises(FatalAPIError, match="more than 256 elements within each other"):
        read(XMLFormat("a/b"), b"<a>" * 1000 + b"</a>" * 1000)


def test_a_path_that_is_none():
    with pytest.raises(ConfigurationError, match="no path of names"):
        XMLFormat("orders//order").compile(declared())
