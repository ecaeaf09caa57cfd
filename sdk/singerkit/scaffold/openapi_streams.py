"""From the operations of an OpenAPI document to streams: records, keys, pages, and how to ask for what is new.

What a parameter or a property is for is told by its name, in whatever way its words are joined; nothing is guessed
from less. What is left open is said in ``undecided``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from singerkit.scaffold.openapi_document import APIDocument, Operation, Parameter
from singerkit.schema.unions import fit_all

_RECORDS = ("data", "items", "results", "records", "entries", "values", "rows", "content", "value", "list")
_SIZES = ("limit", "perpage", "pagesize", "size", "pagelimit", "maxresults", "count", "top", "take", "first", "max")
_NUMBERS = ("page", "pagenumber", "pageno", "pageindex", "currentpage")
_OFFSETS = ("offset", "skip", "start", "startindex", "startat", "pageoffset")
_CURSORS = (
    "cursor",
    "pagetoken",
    "nexttoken",
    "nextcursor",
    "nextpagetoken",
    "startcursor",
    "pagecursor",
    "continuationtoken",
    "marker",
)
_AFTER = ("after", "startingafter", "afterid", "sinceid")
_NEXT = ("nextcursor", "nextpagetoken", "nexttoken", "cursor", "continuationtoken", "next", "endcursor", "pagetoken")
_PAGES = ("totalpages", "pages", "pagecount", "lastpage")
_TOTALS = ("total", "totalcount", "totalresults", "totalrecords", "totalitems")
_MORE = ("hasmore", "more", "hasnext", "hasnextpage", "hasmorepages")
_KEYS = ("id", "uuid", "guid", "key", "code", "slug")
_SINCE = re.compile(r"(?P<what>.*?)(since|after|from|gte|gt|min|start)$")
_CHANGED = ("updatedat", "modifiedat", "lastmodified", "lastmodifiedat", "updated", "modified", "dateupdated",
            "changedat", "updatedon", "lastupdated", "dateupdatedgmt", "timestamp")  # fmt: skip
_FORMS = ("{}at", "{}on", "last{}", "last{}at", "date{}", "{}date", "{}time", "last{}time", "last{}date", "{}")
#: Words that mean the same: what is asked for by one may be called by another.
_CHANGES = ("updated", "modified", "changed", "edited")
_BOUNDS = {"date": '"date"', "integer": '"epoch"'}
#: What the module imports, and words of Python, which a class must not be called.
_TAKEN = ("Path", "Incremental", "StreamSchema", "None", "True", "False")
_SOON = ("since", "", "start", "startdate", "datefrom", "from", "begin")


class StreamPlan(NamedTuple):
    """A stream that a document has.

    Shape: ``paginator`` is its class and its arguments, empty for one page; ``incremental`` holds arguments of
    ``Incremental``; ``parts`` are the parts of the path in braces.
    """

    name: str
    operation: Operation
    records_jsonpath: str
    schema_pointer: str
    primary_keys: tuple[str, ...]
    paginator: tuple[str, str] | None
    replication_key: str | None
    incremental: str
    parts: tuple[str, ...]

    @property
    def class_name(self) -> str:
        """The name in capitals: ``OrderLines``; with a word more where the module has another use for it."""
        name = "".join(word.capitalize() for word in self.name.split("_"))
        return f"{name}Stream" if name in _TAKEN else name


class _Place(NamedTuple):
    path: str
    schema: Mapping[str, Any]


def plan_streams(document: APIDocument) -> tuple[list[StreamPlan], list[str]]:
    """Give a stream for each operation that gives a list of objects, and what could not be decided."""
    streams: list[StreamPlan] = []
    undecided: list[str] = []
    found = ((operation, _records(operation)) for operation in document.operations())
    collections = {operation.path: (operation, place) for operation, place in found if place is not None}
    for operation, place in collections.values():
        parents = [other for other in collections if operation.path.startswith(f"{other}/{{")]
        if parents:
            undecided.append(f"GET {operation.path}: a child of {max(parents, key=len)}; see `parent_stream_type`")
            continue
        stream, questions = _stream(operation, place, [each.name for each in streams])
        streams.append(stream)
        undecided += [f"GET {operation.path}: {question}" for question in questions]
    return streams, [*undecided, *document.unread]


def _stream(operation: Operation, place: _Place, taken: list[str]) -> tuple[StreamPlan, list[str]]:
    record = _record_of(place)
    questions: list[str] = []
    keys = _primary_keys(record, operation.path)
    if not keys:
        questions.append("which properties tell a record from others? set `primary_keys`")
    paginator = _paginator(operation, keys)
    if paginator is None and any(_plain(each.name) in (*_SIZES, *_CURSORS, *_AFTER) for each in operation.parameters):
        questions.append("it has pages, but how to come to the next one is not said; set `paginator`")
    key, incremental, question = _incremental(operation.parameters, record)
    parts = tuple(re.findall(r"\{(.+?)\}", operation.path))
    needed = [
        each.name for each in operation.parameters if each.is_required and _is_plain(each, paginator, incremental)
    ]
    questions += [*question, *(f"the parameter '{name}' is required; give it in `get_url_params`" for name in needed)]
    tail = "" if place.path == "$" else "".join(f"/properties/{name}" for name in place.path[2:].split("."))
    plan = StreamPlan(
        _name(operation.path, taken), operation, f"{place.path}[*]", operation.pointer + tail, keys, paginator, key,
        incremental, parts,
    )  # fmt: skip
    return plan, questions


def _is_plain(parameter: Parameter, paginator: tuple[str, str] | None, incremental: str) -> bool:
    return f'"{parameter.name}"' not in f"{(paginator or ('', ''))[1]} {incremental}"


def _name(path: str, taken: list[str]) -> str:
    words = [part for part in path.split("/") if part and "{" not in part and not re.fullmatch(r"v\d+|api|rest", part)]
    for count in range(1, len(words) + 1):
        name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(words[-count:])).lower())
        name = re.sub(r"_json$", "", name.strip("_"))
        if name not in taken and name[:1].isalpha():
            return name
    return f"stream_{len(taken) + 1}"


# Where the records are


def _records(operation: Operation) -> _Place | None:
    """Find the list of objects: the answer itself, or what is in it, by a common name or as the only one."""
    lists = [place for place in _places(operation.answer) if _is_list_of_objects(place.schema)]
    last = _plain(operation.path.rstrip("/").rpartition("/")[2])
    named = [place for place in lists if place.path == "$" or _last(place.path) in (*_RECORDS, last)]
    chosen = named or lists
    return min(chosen, key=lambda place: place.path.count(".")) if named or len(lists) == 1 else None


def _places(schema: Mapping[str, Any], path: str = "$", depth: int = 2) -> Iterator[_Place]:
    """Give the parts of an answer, those of objects in it too, but nothing within lists."""
    merged = _merged(schema)
    yield _Place(path, merged)
    if depth >= 0:
        for name, member in (merged.get("properties") or {}).items():
            if isinstance(member, dict) and re.fullmatch(r"\w+", name):
                yield from _places(member, f"{path}.{name}", depth - 1)


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "allOf" not in schema:
        return schema
    parts = [{name: value for name, value in schema.items() if name != "allOf"}, *schema["allOf"]]
    return fit_all([dict(_merged(part)) for part in parts])


def _is_list_of_objects(schema: Mapping[str, Any]) -> bool:
    items = schema.get("items")
    is_list = "array" in _types(schema) or ("type" not in schema and items is not None)
    return is_list and isinstance(items, dict) and bool(items.keys() & {"properties", "allOf", "oneOf", "anyOf"})


def _record_of(place: _Place) -> Mapping[str, Mapping[str, Any]]:
    """Give the properties of a record."""
    return _merged(place.schema["items"]).get("properties") or {}


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    found = schema.get("type", ())
    return (found,) if isinstance(found, str) else tuple(found)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _last(path: str) -> str:
    return _plain(path.rpartition(".")[2])


def _primary_keys(record: Mapping[str, Any], path: str) -> tuple[str, ...]:
    last = _plain(path.rstrip("/").rpartition("/")[2])
    own = [f"{last.removesuffix(ending)}id" for ending in ("s", "es", "")]
    for wanted in (*_KEYS, *own):
        for name in record:
            if _plain(name) == wanted:
                return (name,)
    return ()


# Pages


def _paginator(operation: Operation, keys: tuple[str, ...]) -> tuple[str, str] | None:
    """Give class and arguments of the paginator, as code."""
    answer = [place for place in _places(operation.answer) if place.path != "$"]
    size = _find(operation.parameters, _SIZES)
    sized = f', size_param="{size.name}"' if size else ""
    count = _page_size(size)
    number, offset = _find(operation.parameters, _NUMBERS), _find(operation.parameters, _OFFSETS)
    cursor, after = _find(operation.parameters, _CURSORS), _find(operation.parameters, _AFTER)
    if number:
        first = number.schema.get("default", number.schema.get("minimum", 1))
        return (
            "PageNumberPaginator",
            f'{first}, param="{number.name}", page_size={count}{sized}{_end(operation, answer)}',
        )
    if offset:
        return "OffsetPaginator", f'0, {count}, param="{offset.name}"{sized}{_end(operation, answer, has_pages=False)}'
    token = _path(answer, _NEXT)
    paged = f"page_size={count}{sized}" if size else ""
    asked = cursor or (after if token else None)
    if asked and token:
        return "JSONPathPaginator", ", ".join(filter(None, [f'"{token}"', f'param="{asked.name}"', paged]))
    header = next((name for name in operation.headers if _plain(name).removeprefix("x") in _NEXT), None)
    if asked and header:
        return "SimpleHeaderPaginator", ", ".join(filter(None, [f'"{header}"', f'param="{asked.name}"', paged]))
    if after and keys:
        more = _path(answer, _MORE)
        flag = f'more_at="{more}"' if more else ""
        return "KeysetPaginator", ", ".join(filter(None, [f'"{keys[0]}"', f'param="{after.name}"', paged, flag]))
    if any(name.lower() == "link" for name in operation.headers):
        return "HeaderLinkPaginator", paged
    link = _path(answer, ("next", "nexturl", "nextlink", "nextpageurl", "odatanextlink"))
    return ("NextURLPaginator", ", ".join(filter(None, [f'"{link}"', paged]))) if link else None


def _end(operation: Operation, answer: list[_Place], *, has_pages: bool = True) -> str:
    """Give the argument that says where an answer tells the end; without it the first empty page is the end."""
    headers = {_plain(name).removeprefix("x"): name for name in operation.headers}
    pages = _path(answer, _PAGES) or next((headers[name] for name in _PAGES if name in headers), None)
    if pages and has_pages:
        return f', total_pages_at="{pages}"'
    totals = _path(answer, _TOTALS) or next((headers[name] for name in _TOTALS if name in headers), None)
    if totals:
        return f', total_records_at="{totals}"'
    more = _path(answer, _MORE)
    return f', more_at="{more}"' if more else ""


def _page_size(size: Parameter | None) -> int:
    schema = size.schema if size else {}
    return int(schema.get("maximum") or schema.get("default") or 100)


def _find(parameters: Iterable[Parameter], names: tuple[str, ...]) -> Parameter | None:
    return next((each for name in names for each in parameters if _plain(each.name) == name), None)


def _path(places: Iterable[_Place], names: tuple[str, ...]) -> str | None:
    """Find a single value in the answer by its name."""
    found = [place for place in places if not {"object", "array"} & set(_types(place.schema))]
    return next((place.path for name in names for place in found if _last(place.path) == name), None)


# What is new


def _incremental(
    parameters: list[Parameter], record: Mapping[str, Mapping[str, Any]]
) -> tuple[str | None, str, list[str]]:
    """Give the replication key, arguments of ``Incremental``, and a question where only half of it is known."""
    for parameter in parameters:
        match = _SINCE.fullmatch(_plain(parameter.name))
        form = str(parameter.schema.get("format", ""))
        if match is None or not (form in ("date", "date-time") or "integer" in _types(parameter.schema)):
            continue
        key = _replication_key(match["what"], record)
        if key is None:
            return None, "", [f"'{parameter.name}' asks for what is new, but by which property? set `replication_key`"]
        written = _BOUNDS.get("integer" if "integer" in _types(parameter.schema) else form)
        return key, f'param="{parameter.name}"' + (f", format={written}" if written else ""), []
    return None, "", []


def _replication_key(what: str, record: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Find the property that ``updated_since`` means, ``updated_at``; for ``since``, one that tells of changes."""
    instants = {_plain(name): name for name, schema in record.items() if schema.get("format") in ("date", "date-time")}
    word = what.removeprefix("last").removesuffix("at")
    words = (word, *_CHANGES) if word in _CHANGES else (what,)
    wanted = _CHANGED if what in _SOON else (what, *(form.format(each) for each in words for form in _FORMS))
    return next((instants[name] for name in wanted if name in instants), None)
