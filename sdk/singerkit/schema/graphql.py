"""Schemas from a GraphQL API's types: of a whole type, or of just what a query asks for.

The types are in the API's schema language (SDL, ``schema.graphql``) or in the answer to an introspection query
(``schema.json``). graphql-core reads both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singerkit.errors import DiscoveryError, MissingExtraError
from singerkit.schema.documents import document_name, read_document, read_text
from singerkit.schema.sources import SchemaSource
from singerkit.schema.unions import fit_any

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLSchema, SelectionSetNode

    from singerkit.schema.documents import DocumentSource
    from singerkit.types import Schema

#: What is known of scalars by their names: the five of the specification (section 3.5), and what many servers add.
SCALARS: Mapping[str, Schema] = {
    "ID": {"type": "string"},
    "String": {"type": "string"},
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
    "UUID": {"type": "string", "format": "uuid"},
    "URI": {"type": "string", "format": "uri"},
    "URL": {"type": "string", "format": "uri"},
}
_PLAIN_PATH = re.compile(r"\$\.data((?:\.\w+(?:\[\*\])?)+)")


class GraphQLTypes(SchemaSource[str]):
    """The types of a GraphQL API; the key is the name of a type.

    A type's schema has the fields that need no selection of their own: scalars, enums and lists of them.
    """

    def __init__(self, source: DocumentSource, *, scalars: Mapping[str, Schema] | None = None) -> None:
        """Take where the types are: a file in SDL, or the JSON (path or dict) that introspection gave.

        ``scalars``: the schemas of the API's own scalars, by name; what is not known is allowed to be anything.
        """
        super().__init__()
        self.source = source
        self.scalars = {**SCALARS, **(scalars or {})}

    def fetch_schema(self, key: str) -> Schema:
        """Give the schema of an object type or interface.

        Errors: ``DiscoveryError`` when there is no such type; ``MissingExtraError`` without graphql-core.
        """
        types = self._types  # before graphql-core is needed: it says what to install
        from graphql import get_named_type, is_leaf_type

        fields = getattr(types.type_map.get(key), "fields", None)
        if fields is None:
            raise DiscoveryError(f"'{self._name}' has no object type '{key}'; say StreamSchema(..., key='TypeName')")
        leaves = {name: field for name, field in fields.items() if is_leaf_type(get_named_type(field.type))}
        return {
            "type": "object",
            "properties": {name: self._schema_of(field.type, None, {}) for name, field in leaves.items()},
        }

    def schema_of_query(self, query: str, records_jsonpath: str, operation_name: str | None = None) -> Schema:
        """Give the schema of the records that a query finds at a JSONPath (``$.data.orders.edges[*].node``).

        Errors: ``DiscoveryError`` when the query does not fit the types, or the path does not fit the query.
        """
        types = self._types  # as above
        from graphql import FragmentDefinitionNode, GraphQLError, get_operation_ast, parse, validate

        try:
            document = parse(query)
            problems: list[Any] = list(validate(types, document))
        except GraphQLError as error:
            problems = [error]
        if problems:
            raise DiscoveryError(f"the query does not fit the types in '{self._name}': {problems[0].message}")
        operation = get_operation_ast(document, operation_name)
        plain = _PLAIN_PATH.fullmatch(records_jsonpath)
        if operation is None or plain is None:
            raise DiscoveryError(
                f"can't tell which part of the query is at '{records_jsonpath}': name one of its operations "
                "(operation_name) and a path of fields, '$.data.orders[*]'"
            )
        fragments = {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}
        owner: Any = types.get_root_type(operation.operation)
        below: SelectionSetNode | None = operation.selection_set
        for name in plain[1].replace("[*]", "").split(".")[1:]:
            owner, below = self._step(owner, below, name, fragments)
        schema = self._object(owner, below, fragments) if below is not None else {}
        return {**schema, "type": "object"}

    def _step(self, owner: Any, below: SelectionSetNode | None, name: str, fragments: Any) -> tuple[Any, Any]:
        """Give the type of a field of the answer, and what is selected of it."""
        from graphql import get_named_type

        for parent, node in _selected(self._types, owner, below, fragments) if below is not None else ():
            if _answer_name(node) == name:
                return get_named_type(parent.fields[node.name.value].type), node.selection_set
        raise DiscoveryError(f"the query does not select '{name}', which records_jsonpath goes through")

    def _object(self, owner: Any, below: SelectionSetNode, fragments: Any) -> Schema:
        found: dict[str, list[Schema]] = {}
        for parent, node in _selected(self._types, owner, below, fragments):
            if node.name.value == "__typename":
                member: Schema = {"type": "string"}
            else:
                member = self._schema_of(parent.fields[node.name.value].type, node.selection_set, fragments)
            if parent is not owner or node.directives:  # not there for every object (a fragment, @include)
                member = _nullable(member)
            found.setdefault(_answer_name(node), []).append(member)
        return {"type": "object", "properties": {name: _any_of(members) for name, members in found.items()}}

    def _schema_of(self, kind: Any, below: SelectionSetNode | None, fragments: Any) -> Schema:
        from graphql import GraphQLNonNull

        if isinstance(kind, GraphQLNonNull):
            return self._never_null(kind.of_type, below, fragments)
        return _nullable(self._never_null(kind, below, fragments))

    def _never_null(self, kind: Any, below: SelectionSetNode | None, fragments: Any) -> Schema:
        from graphql import GraphQLEnumType, GraphQLList

        if isinstance(kind, GraphQLList):
            return {"type": "array", "items": self._schema_of(kind.of_type, below, fragments)}
        if isinstance(kind, GraphQLEnumType):
            return {"type": "string", "examples": list(kind.values)}
        if below is not None:
            return self._object(kind, below, fragments)
        return dict(self.scalars.get(kind.name, {}))

    @property
    def _name(self) -> str:
        return document_name(self.source)

    @cached_property
    def _types(self) -> GraphQLSchema:
        try:
            from graphql import build_client_schema, build_schema
        except ImportError:
            raise MissingExtraError(
                "the types of a GraphQL API are read by graphql-core: pip install 'singerkit[graphql]'"
            ) from None
        try:
            if isinstance(self.source, Mapping) or self._name.endswith(".json"):
                introspection: Any = read_document(self.source)
                return build_client_schema(introspection.get("data", introspection))
            return build_schema(read_text(self.source))
        except (TypeError, ValueError, KeyError) as error:
            raise DiscoveryError(
                f"'{self._name}' holds no GraphQL types, neither SDL nor an introspection result: "
                f"{str(error).splitlines()[0]}"
            ) from error
        except Exception as error:
            from graphql import GraphQLError

            if not isinstance(error, GraphQLError):
                raise
            raise DiscoveryError(f"'{self._name}' is no valid GraphQL schema: {error.message}") from error


def _selected(types: Any, owner: Any, below: SelectionSetNode, fragments: Any) -> Iterator[tuple[Any, FieldNode]]:
    """Give the fields of a selection, those of fragments too, each with the type that it is a field of."""
    from graphql import FieldNode, FragmentSpreadNode

    for node in below.selections:
        if isinstance(node, FieldNode):
            yield owner, node
            continue
        fragment: Any = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        condition = fragment.type_condition
        narrower = owner if condition is None else types.type_map[condition.name.value]
        yield from _selected(types, narrower, fragment.selection_set, fragments)


def _answer_name(node: FieldNode) -> str:
    return node.alias.value if node.alias is not None else node.name.value


def _nullable(schema: Schema) -> Schema:
    types = schema.get("type", "null")
    listed = types if isinstance(types, list) else [types]
    return schema if "null" in listed else {**schema, "type": [*listed, "null"]}


def _any_of(members: Iterable[Schema]) -> Schema:
    """Give one schema for a name that is selected several times; that of the first if it is selected once."""
    first, *others = members
    return fit_any([first, *others]) if others else first
