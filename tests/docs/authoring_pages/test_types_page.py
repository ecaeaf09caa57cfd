"""The page of types shows the JSON Schema that each builder makes.

``SINGERKIT_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

from singerkit import typing as th

PAGE = Path(__file__).parents[3] / "docs/reference/authoring/types.md"
HEAD = """# Types

`from singerkit import typing as th`: builders of JSON Schema. A type is given as a class or as an instance,
`th.StringType` or `th.StringType(max_length=3)`. What the columns of databases become is in
[Values in databases](../values.md).

| type | JSON Schema | takes |
|---|---|---|
"""
EXAMPLES = {
    "ArrayType": (th.ArrayType(th.StringType), "th.ArrayType(th.StringType)"),
    "AnyOf": (th.AnyOf(th.StringType, th.IntegerType), "th.AnyOf(th.StringType, th.IntegerType)"),
    "OneOf": (th.OneOf(th.StringType, th.IntegerType), "th.OneOf(th.StringType, th.IntegerType)"),
    "AllOf": (th.AllOf(th.StringType, th.UUIDType), "th.AllOf(th.StringType, th.UUIDType)"),
    "Constant": (th.Constant("a"), 'th.Constant("a")'),
    "CustomType": (th.CustomType({"type": "integer"}), 'th.CustomType({"type": "integer"})'),
    "Property": (th.Property("id", th.IntegerType), 'th.Property("id", th.IntegerType)'),
    "ObjectType": (
        th.ObjectType(th.Property("id", th.IntegerType)),
        'th.ObjectType(th.Property("id", th.IntegerType))',
    ),
    "PropertiesList": (
        th.PropertiesList(th.Property("id", th.IntegerType, required=True)),
        'th.PropertiesList(th.Property("id", th.IntegerType, required=True))',
    ),
    "DiscriminatedUnion": (
        th.DiscriminatedUnion("kind", a=th.ObjectType(th.Property("id", th.IntegerType))),
        'th.DiscriminatedUnion("kind", a=th.ObjectType(th.Property("id", th.IntegerType)))',
    ),
}


def written() -> str:
    found = {name: cls for name, cls in vars(th).items() if inspect.isclass(cls) and not name.startswith("_")}
    types = {name: cls for name, cls in found.items() if issubclass(cls, th.JSONTypeHelper)}
    return HEAD + "".join(row(name, cls) for name, cls in types.items() if cls is not th.JSONTypeHelper)


def row(name: str, cls: type) -> str:
    example, text = EXAMPLES[name] if name in EXAMPLES else (cls(), f"th.{name}")
    schema = example.to_dict() if isinstance(example, th.Property) else example.type_dict
    parameters = inspect.signature(cls).parameters.values()
    names = [each.name for each in parameters if each.default is not each.empty or each.kind is each.KEYWORD_ONLY]
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        names += [each for each in inspect.signature(th.JSONTypeHelper).parameters if each not in names]
    words = ", ".join(f"`{name}`" for name in names)
    return f"| `{text}` | `{json.dumps(schema)}` | {words} |\n"


def test_the_page_is_what_the_builders_make():
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(written(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written(), "SINGERKIT_WRITE_DOCS=1 writes the page"
