"""XML: a record an element. A document that defines entities, or has a document type at all, is refused.

Entities can grow without end ("billion laughs") and can name files and URLs to be read; no API's answer needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeAlias
from xml.parsers import expat

from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.bodies.base import MAX_RECORD_BYTES, PIECE_BYTES, BodyDeclaration, BodyFormat, ReadBody, too_large
from singerkit.http.bodies.text_values import compile_from_text, types_of
from singerkit.types import Record

#: Elements within each other; a deeper document is refused.
MAX_DEPTH = 256
#: Brings an element's value to what the schema's types ask.
_Shape: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class XMLFormat(BodyFormat):
    """A body with a record an element.

    Shape: ``record`` is the path of names from the root to the records, e.g. ``"orders/order"``; namespaces don't
    count. An element with neither attributes nor elements in it is its text (``None`` if empty); otherwise an object of
    its elements by name, its attributes by ``@name`` and its text as ``#text``. An element that comes several times, or
    that the schema calls an array, is a list. Texts become what the schema's types ask.
    """

    record: str
    kind = "XML"

    def compile(self, declared: BodyDeclaration) -> ReadBody:
        """Give the function that reads a body."""
        path = self.record.split("/")
        if not all(path):
            raise ConfigurationError(f"XMLFormat: '{self.record}' is no path of names; write for instance orders/order")
        shape = _compile_object({"properties": declared.properties}, exact_numbers=declared.exact_numbers)

        def read(file: IO[bytes]) -> Iterator[list[Record]]:
            elements = _Elements(path)
            while piece := file.read(PIECE_BYTES):
                yield from self._records(elements, piece, False, shape)
            yield from self._records(elements, b"", True, shape)

        return read

    def check(self, file: IO[bytes]) -> None:
        """Read the whole document once, for its form: of a broken one no record goes out."""
        super().check(file)
        elements = _Elements([])
        while piece := file.read(PIECE_BYTES):
            self._feed(elements, piece, False)
        self._feed(elements, b"", True)
        file.seek(0)

    def _records(self, elements: _Elements, piece: bytes, end: bool, shape: _Shape) -> Iterator[list[Record]]:
        self._feed(elements, piece, end)
        if elements.found:
            records = [shape(value if isinstance(value, dict) else {"#text": value}) for value in elements.found]
            elements.found.clear()
            yield records

    def _feed(self, elements: _Elements, piece: bytes, end: bool) -> None:
        try:
            elements.parser.Parse(piece, end)
        except expat.ExpatError as error:
            raise self.malformed(f"see line {error.lineno}") from None


class _Elements:
    """Collects the elements at a path; with an empty path none."""

    def __init__(self, path: list[str]) -> None:
        self.found: list[Any] = []
        self._path = path
        self._names: list[str] = []
        #: For each open element from the record on: its members, and its text so far.
        self._open: list[tuple[dict[str, Any], list[str]]] = []
        self._bytes = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = _refuse_document_type
        self.parser.StartElementHandler = self._start
        if path:
            self.parser.EndElementHandler = self._end
            self.parser.CharacterDataHandler = self._text
        else:
            self.parser.EndElementHandler = self._leave

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = _local(name)
        self._names.append(name)
        if len(self._names) > MAX_DEPTH:
            raise FatalAPIError(f"the answer has more than {MAX_DEPTH} elements within each other")
        if self._path and len(self._names) == 1 and name != self._path[0]:
            raise FatalAPIError(f"the answer's root is not <{self._path[0]}>, as XMLFormat says; is it an error's?")
        if self._open or (self._path and self._names == self._path):
            self._open.append(({f"@{_local(key)}": value for key, value in attributes.items()}, []))
            self._count(100 + sum(len(value) for value in attributes.values()))  # an empty element takes memory too

    def _end(self, name: str) -> None:
        self._names.pop()
        if not self._open:
            return
        members, texts = self._open.pop()
        text = "".join(texts).strip() or None
        value: Any = text
        if members:
            value = members if text is None else {**members, "#text": text}
        if self._open:
            _add(self._open[-1][0], _local(name), value)
        else:
            self.found.append(value)
            self._bytes = 0

    def _leave(self, name: str) -> None:
        self._names.pop()

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)
            self._count(len(text))

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MAX_RECORD_BYTES:
            raise too_large("a record of the answer")


def _refuse_document_type(*declaration: Any) -> None:
    raise FatalAPIError("the answer has a document type declaration, which can make a parser read files or fill memory")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _add(members: dict[str, Any], name: str, value: Any) -> None:
    """Put an element into the object that it is in; a second one of its name makes a list."""
    if name not in members:
        members[name] = value
    elif isinstance(members[name], list):
        members[name].append(value)
    else:
        members[name] = [members[name], value]


def _compile_object(schema: Mapping[str, Any], *, exact_numbers: bool) -> _Shape:
    shapes: list[tuple[str, _Shape]] = []
    for name, member in schema.get("properties", {}).items():
        shape = _compile_value(member, exact_numbers=exact_numbers)
        if shape is not None:
            shapes.append((name, shape))

    def shape_object(value: Any) -> Any:
        if isinstance(value, dict):
            for name, shape in shapes:
                if name in value:
                    value[name] = shape(value[name])
        return value

    return shape_object


def _compile_value(schema: Mapping[str, Any], *, exact_numbers: bool) -> _Shape | None:
    types = types_of(schema)
    if "array" in types:
        of_item = _compile_value(schema.get("items", {}), exact_numbers=exact_numbers)

        def shape_array(value: Any) -> list[Any]:
            items = value if isinstance(value, list) else [] if value is None else [value]
            return [of_item(item) for item in items] if of_item else items

        return shape_array
    if "properties" in schema:
        return _compile_object(schema, exact_numbers=exact_numbers)
    from_text = compile_from_text(schema, exact_numbers=exact_numbers)
    if from_text is None:
        return None
    return lambda value: from_text(value) if isinstance(value, str) else value
