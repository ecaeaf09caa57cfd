from __future__ import annotations

import resource
import time
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import DataError, MappingError, MissingExtraError
from singerkit.records.expression import Scope, compile_expression, compile_in_scope

RECORD = {
    "id": 7,
    "name": "Bob",
    "n": 1.5,
    "none": None,
    "tags": ["b", "a"],
    "o": {"a": "x", "deep": {"x": 1}},
    "dt": "2024-03-01T10:00:00",
    "price": Decimal("1.10"),
}


def value_of(source, record=RECORD):
    return compile_expression(source, names=record.keys())(record)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("name", "Bob"),
        ("  name\n", "Bob"),
        ("'text'", "text"),
        ("-n", -1.5),
        ("id + 1", 8),
        ("id / 2", 3.5),
        ("id // 2 + id % 4", 6),
        ("2 ** 10", 1024),
        ("id << 2 | 1", 29),
        ("(id & 3) ^ 1", 2),
        ("~id", -8),
        ("price * 2", Decimal("2.20")),
        ("name + '!'", "Bob!"),
        ("name * 2", "BobBob"),
        ("2 * [id]", [7, 7]),
        ("not none", True),
        ("none or name", "Bob"),
        ("none and name.upper()", None),
        ("1 < id <= 7", True),
        ("id in [1, 7] and 'B' in name", True),
        ("name is not None", True),
        ("name.upper() if name else None", "BOB"),
        ("none.upper() if none else 'n'", "n"),
        ("o.a + o['a'] + o.get('z', '-')", "xx-"),
        ("o.deep.x", 1),
        ("record.get('missing')", None),
        ("_['name'] + record['name']", "BobBob"),
        ("[t.upper() for t in tags if t != 'b']", ["A"]),
        ("','.join(t for t in tags)", "b,a"),
        ("{k: v for k, v in record.items() if k == 'id'}", {"id": 7}),
        ("[a + b for (a, b) in [('x', 'y')]]", ["xy"]),
        ("[[x for x in tags] for tags in [['q']]]", [["q"]]),
        ("[_ for _ in tags]", ["b", "a"]),
        ("{**o, 'id': id}", {"a": "x", "deep": {"x": 1}, "id": 7}),
        ("[*tags, 'c']", ["b", "a", "c"]),
        ("(id, name)", (7, "Bob")),
        ("{1, 2} == {2, 1}", True),
        ("tags[0] + tags[-1]", "ba"),
        ("name[:2] + name[::-1]", "BoboB"),
        ("f'{id:03d}-{name}-{n:.2f}'", "007-Bob-1.50"),
        ("f'{name!s:>5}|{name:*<5}'", "  Bob|Bob**"),
        ("'%s-%03d' % (name, id)", "Bob-007"),
        ("'%(a)s%%' % {'a': id}", "7%"),
        ("str(id) + str(none)", "7None"),
        ("int('12') + int('ff', 16) + int(n)", 268),
        ("float('1.5')", 1.5),
        ("bool(tags)", True),
        ("list('ab') + list(o)", ["a", "b", "a", "deep"]),
        ("dict([('a', 1)], b=2)", {"a": 1, "b": 2}),
        ("set(['a', 'a'])", {"a"}),
        ("tuple(tags)", ("b", "a")),
        ("md5(name)", "2fc1c0beb992cd7096975cfebf9d5c3b"),
        ("sha256(name)", "cd9fb1e148ccd8442e5aa74904cc73bf6fb54d1d54d333bd596aa9bb4bb4e961"),
        ("json.dumps(o)", '{"a": "x", "deep": {"x": 1}}'),
        ("json.dumps(tags, separators=(',', ':'))", '["b","a"]'),
        ("json.dumps({'b': 'é', 'a': 1}, sort_keys=True, ensure_ascii=False)", '{"a": 1, "b": "é"}'),
        ("json.dumps(price, default=str)", '"1.10"'),
        ("json.loads('[1, 2.5, null]')", [1, 2.5, None]),
        ("datetime.datetime.fromisoformat(dt).year", 2024),
        ("datetime.datetime.strptime(dt[:10], '%Y-%m-%d').strftime('%d.%m.%Y')", "01.03.2024"),
        ("(datetime.datetime.fromisoformat(dt) + datetime.timedelta(days=1)).isoformat()", "2024-03-02T10:00:00"),
        ("f'{datetime.datetime.fromisoformat(dt):%Y%m%d}'", "20240301"),
        ("datetime.datetime.fromtimestamp(id, datetime.timezone.utc).isoformat()", "1970-01-01T00:00:07+00:00"),
        ("datetime.date(2024, 1, 2).isocalendar().week", 1),
        ("str.upper(name)", "BOB"),
        ("dt.split('T')[0].replace('-', '/')", "2024/03/01"),
        ("name.encode('ascii', 'ignore').decode()", "Bob"),
        ("dt.translate({45: None})", "20240301T10:00:00"),
        ("name.zfill(5) + name.center(5, '*')", "00Bob*Bob*"),
    ],
)
def test_gives_what_python_gives(source, expected):
    value = value_of(source)
    assert value == expected
    assert type(value) is type(expected)


def test_random_numbers_keep_their_bounds():
    assert 0 <= value_of("rand()") < 1
    assert value_of("randint(10)") in range(10)


def test_a_property_comes_before_a_function_of_its_name():
    record = {"json": '{"a": 1}', "str": "s", "datetime": {"x": 1}}
    assert value_of("json.loads(json)", record) == {"a": 1}
    assert value_of("str + str(1)", record) == "s1"
    assert value_of("datetime.get('x')", record) == 1


def test_the_record_is_never_changed():
    record = {"l": [2, 1], "o": {}}
    value_of("[*l, 3] + l", record)
    assert record == {"l": [2, 1], "o": {}}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nme.upper()", "did you mean 'name'"),
        ("hello there", "quotes"),
        ("foo(1)", "nothing here has the name 'foo'"),
        ("name.uper()", "did you mean 'upper'"),
        ("str", "called"),
        ("md5", "called"),
        ("fake", "called"),
        ("", "one expression"),
        ("name; id", "one expression"),
        ("f'{name!r}'", "!r"),
        ("dict(**o)", r"\*\*"),
        ("{t for t in tags}", r"set\("),
        ("name @ id", "@"),
    ],
)
def test_what_is_not_understood_is_refused_when_compiled(source, says):
    with pytest.raises(MappingError, match=says) as caught:
        compile_in_scope(source, Scope(frozenset(RECORD), where="property 'p'", stream="s"))
    assert str(caught.value).startswith("property 'p'")
    assert caught.value.stream == "s"


@pytest.mark.parametrize(
    "source",
    [
        "secret + 1",
        "int(secret)",
        "o[secret]",
        "o.a.b",
        "secret.x",
        "1 / (secret == 'top-secret' and 0)",
        "[][9]",
        "md5(None)",
    ],
)
def test_a_failing_evaluation_names_place_and_kind_but_no_value(source):
    record = {"secret": "top-secret", "o": {"a": "top-secret"}}
    evaluate = compile_in_scope(source, Scope(frozenset(record), where="property 'p'", stream="s"))
    with pytest.raises(DataError) as caught:
        evaluate(record)
    assert str(caught.value).startswith("property 'p'")
    assert "top-secret" not in str(caught.value)
    assert caught.value.stream == "s"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_missing_property_is_named():
    evaluate = compile_expression("name.upper()", names=["name"])
    with pytest.raises(DataError, match=r"record.get\('name'\)"):
        evaluate({})


def test_unknown_names_are_properties_where_records_may_have_more():
    evaluate = compile_in_scope("extra if 'extra' in record else 0", Scope(is_open=True))
    assert evaluate({}) == 0
    assert evaluate({"extra": 5}) == 5


def test_constants_of_the_scope_come_before_properties():
    scope = Scope(frozenset({"config", "p"}), constants={"config": {"salt": "s"}}, own="p")
    assert compile_in_scope("config.salt + config['salt'] + self", scope)({"config": 1, "p": "!"}) == "ss!"


def test_fake_without_faker_names_the_extra():
    def open_fake():
        raise MissingExtraError("install 'singerkit[faker]'")

    with pytest.raises(MissingExtraError, match="faker"):
        compile_in_scope("fake.email()", Scope(open_fake=open_fake))


ESCAPES = r"""
[].__class__
''.__class__.__mro__
record.__class__
(1).__class__
tags.__len__()
name._x
name.upper.__self__
name.format(name)
'{0.__class__}'.format(name)
'{:1000000000}'.format(1)
name.format_map(record)
type(name)
type(name).mro()
name.mro()
str.mro()
str.__subclasses__()
getattr(name, 'upper')
setattr(name, 'x', 1)
eval('1')
exec('1')
open('/etc/passwd')
globals()
vars()
dir()
compile('1', '', 'eval')
breakpoint()
isinstance(name, str)
print(1)
import os
__import__('os')
__builtins__
__builtins__['open']
__record
__meter
__meter.left
__constant_config
[__meter for __meter in tags]
[x for x.y in tags]
[x for *x in tags]
lambda: 1
(lambda x: x)(1)
(x := 1)
[y := 1 for x in tags]
await name
yield name
name = 1
name *= 10**9
del name
assert name
json.codecs
json.decoder
json.__builtins__
json.loads
json.dumps(record, default=lambda x: x)
json.loads('1', object_hook=str)
json.loads('1', cls=str)
datetime.sys
datetime.datetime
datetime.datetime.__class__
datetime.datetime.now.__self__
(x for x in tags).gi_frame
name.encode('idna')
name.encode('zlib')
record.pop('name')
record.update({'x': 1})
tags.append(1)
tags.sort()
o.setdefault('q', 1)
name(1)
(1)(2)
'a'.upper()()
tags[0]()
b'abc'
1j
...
fake.email.__self__
"""

BOMBS = r"""
'a'*10**9
10**9*'a'
[0]*10**9
[[[1]*1000]*1000]*1000
(tags*10000)*10000
9**9**9
10**10**10
2**100000
(-8)**0.5
1 << 10**9
(1 << 8000) * (1 << 8000)
id.to_bytes(10**9)
f'{name:1000000000}'
f'{id:{"9"*9}}'
f'{id:>{10**9}}'
f'{id:١٠٠٠٠٠٠٠٠٠}'
f'{n:.1000000000f}'
f'{price * (price ** 400000):f}'
'%1000000000d' % 1
'%.1000000000f' % 1
'%*d' % (10**9, 1)
'%(a)1000000000s' % {'a': 1}
'%s%s%s%s%s%s%s%s%s%s' % ((long*100,)*10)
name.zfill(10**9)
name.ljust(10**9)
name.rjust(10**9)
name.center(10**9)
('\t'*1000).expandtabs(10**9)
text.replace('', text)
text.replace('a', text)
text.join([text]*1000)
text.join(text)
text.translate({97: text})
text.rfind('b' + text[1:])
text.rsplit('b' + text[1:100000])
(text*20).strip('b'*200000 + 'a')
range(10**9)
list(range(10**9))
[x for x in range(10**9)]
[z for x in long for y in long for z in long]
[[[z for z in long] for y in long] for x in long]
[text.upper() for x in long for y in long]
[text[1:] for x in long for y in long]
[text == text + 'b' for x in long for y in long]
[text + name for x in long for y in long]
{x: {y: 1 for y in long} for x in long}
[long == long + [1] for x in long for y in long]
[long for x in long for y in long]
{(x, y): 1 for x in long for y in long}
set([x * 2305843009213693951 for x in long for y in long])
dict([(x * y, 1) for x in long for y in long])
int('9'*10**7)
int('9'*5000)
float('9'*10**6)
json.loads('['*100000)
json.loads('['*100000 + ']'*100000)
json.loads('[' + '[],'*5000000 + '1]')
json.loads('9'*100000)
json.dumps([[text]*1000]*1000)
json.dumps(record, indent=10**9)
json.dumps(json.loads('['*900 + '0,'*100000 + '0' + ']'*900), indent=16)
str([[text]*1000]*1000)
f'{[[text]*1000]*1000}'
datetime.datetime.strptime('1'*100000, '%Y')
datetime.datetime.now().strftime('%Y'*100000)
datetime.timedelta(days=10**20)
"""

DEEP = [
    "(" * 5000 + "1" + ")" * 5000,
    "-" * 20000 + "1",
    "not " * 10000 + "1",
    "1" + "+1" * 15000,
    "1" + "+1" * 150,
    "[" * 150 + "]" * 150,
    "name" + ".a" * 20000,
    "name" + ".upper()" * 5000,
    "1" + " if 1 else 1" * 4000,
    "lambda:" * 3000 + "1",
    "name" + "[0]" * 10000,
    "**".join(["9"] * 5000),
    "9" * 5000,
    "'" + "a" * 60000 + "'",
    "f'" + "{name}" * 12000 + "'",
    "[x " + "for x in long " * 8 + "]",
    "+".join(["'a' * 1000000"] * 60),
    "x\x00y",
]


@pytest.fixture(autouse=True)
def bounded_memory():
    """Let a bomb fail at once: 4 GiB of address space is the most that a test here may take."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


ATTACKED = {**RECORD, "long": list(range(1000)), "text": "a" * 200_000}


@pytest.mark.parametrize("source", [*ESCAPES.strip().split("\n"), *BOMBS.strip().split("\n"), *DEEP])
def test_attacks_end_soon_with_an_error_of_ours(source):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with pytest.raises((MappingError, DataError)):
        value_of(source, ATTACKED)
    assert time.process_time() - started < 5  # a hang, not a benchmark
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # kilobytes


@pytest.mark.parametrize("source", ["int(price)", "f'{price:f}'", "'%d' % price", "str(price) + json.dumps(price)"])
def test_decimals_of_a_billion_digits_are_not_written_out(source):
    with pytest.raises(DataError):
        value_of(source, {"price": Decimal("1E+999999")})


@pytest.mark.parametrize("source", ["text.upper()", "text + '!'", "text.strip().lower()", "md5(text)", "text[:10]"])
def test_a_large_text_is_no_attack(source):
    value_of(source, {"text": "a" * 5_000_000})


@given(st.text(alphabet="abn()[]{}.,'\"+*%:_ 019=fx\\", max_size=25))
def test_any_text_is_a_value_or_one_of_our_errors(source):
    with suppress(MappingError, DataError):
        compile_expression(source, names=["a", "b", "n"])({"a": "x", "b": [1], "n": 2})
