import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError
from singerkit.runner.project.interpolate import Interpolation, variables_in

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def filled(value, tmp_path, **variables):
    return Interpolation(variables, tmp_path).of(value, "taps.x.config")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${KEY}", "s3cret"),
        ("Bearer ${KEY}/${KEY}", "Bearer s3cret/s3cret"),
        ("$${KEY}", "${KEY}"),
        ("$$${KEY}", "$${KEY}"),
        ("a$b $ {KEY} $KEY", "a$b $ {KEY} $KEY"),
        ("${NONE:-}", ""),
        ("${NONE:-fall back: }", "fall back: "),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", ""),
        ("${KEY:-x}", "s3cret"),
        ("${PORT:integer}", 5432),
        ("${NONE:integer:-3}", 3),
        ("${RATE:number}", 0.5),
        ("${ON:boolean}", True),
        ("${LIST:json}", [1, {"a": None}]),
        ("${REFERENCE}", "${KEY}"),
        ("${file:key.txt}", "from a file"),
    ],
)
def test_a_reference_is_replaced_by_its_value(text, value, tmp_path):
    (tmp_path / "key.txt").write_text("from a file\n")
    variables = {"KEY": "s3cret", "EMPTY": "", "PORT": "5432", "RATE": "0.5", "ON": "yes", "REFERENCE": "${KEY}"}
    assert filled(text, tmp_path, LIST='[1, {"a": null}]', **variables).value == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${KEI}", "taps.x.config.a: the environment variable KEI is not set; did you mean 'KEY'?"),
        ("${", "'${' without a closing brace"),
        ("${}", "${} is not understood"),
        ("${a b}", "${a b} is not understood"),
        ("${KEY:float}", "${KEY:float} is not understood; it may be ${NAME}"),
        ("x${KEY:integer}", "has a type, so it has to be the whole text"),
        ("${KEY:integer}", "the value of KEY is not of type integer"),
        ("${KEY:boolean}", "the value of KEY is not of type boolean"),
        ("${INF:number}", "the value of INF is not of type number"),
        ("${INF:json}", "the value of INF is not of type json"),
        ("${file:gone}", "the file 'gone' can't be read: No such file or directory"),
        ("${file:.}", "the file '.' can't be read: Is a directory"),
        ("${file:binary}", "the file 'binary' is not UTF-8 text"),
    ],
)
def test_what_can_not_be_replaced_is_an_error_that_shows_no_value(text, message, tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError) as caught:
        filled({"a": text}, tmp_path, KEY="s3cret", INF="Infinity")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_comes_from_outside_is_a_secret_and_a_default_is_not(tmp_path):
    (tmp_path / "pem").write_text("-----BEGIN\nabc\n")
    value = {"a": ["${KEY}", "${file:pem}"], "b": "${NONE:-plain}", "c": "written", "d": "${HOME}/x", "e": "${EMPTY}"}
    found = filled(value, tmp_path, KEY="s3cret", HOME="/home/me", EMPTY="")
    assert found.secrets == {"s3cret", "-----BEGIN\nabc"}
    assert found.value["d"] == "/home/me/x"


@given(TEXTS.filter(lambda text: "${" not in text))
def test_text_without_references_is_left_alone(tmp_path_factory, text):
    assert filled(text, tmp_path_factory.getbasetemp()) == (text, frozenset())


@given(st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=4), TEXTS.filter(lambda text: "$" not in text))
def test_values_are_put_in_as_they_are(tmp_path_factory, variables, between):
    values = dict(variables)
    text = between.join(f"${{{name}}}" for name, _ in variables)
    found = filled({"k": [text]}, tmp_path_factory.getbasetemp(), **values)
    assert found.value == {"k": [between.join(values[name] for name, _ in variables)]}
    assert variables_in({"k": [text]}) == set(values)


@given(st.text(string.printable, max_size=20))
def test_escaping_keeps_any_text(tmp_path_factory, text):
    assert filled(text.replace("${", "$${"), tmp_path_factory.getbasetemp()).value == text


@given(st.text("${}:-ab", max_size=12))
def test_any_text_is_either_replaced_or_refused(tmp_path_factory, text):
    try:
        filled(text, tmp_path_factory.getbasetemp(), a="1", b="2")
    except ConfigurationError as error:
        assert str(error).startswith("taps.x.config: ")
