"""Schemas from an OpenAPI document: 3.0, 3.1 and Swagger 2, JSON or YAML.

How a stream comes to its schema::

    OpenAPISchema.get_schema(key)
      fetch_schema(key)
        resolve_schema(key)
          get_unresolved_schema(key)    from the key to a schema of the document
      preprocess_schema(schema)         OpenAPI's dialect to JSON Schema: OpenAPISchemaNormalizer

The key is the name of a schema, ``"User"``, or a pointer to any, ``"#/paths/~1users/get/responses/200/content/
application~1json/schema/properties/data/items"``; override ``get_unresolved_schema`` for keys of your own.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from singerkit.errors import DiscoveryError
from singerkit.schema.documents import document_name, read_document
from singerkit.schema.openapi_dialect import OpenAPISchemaNormalizer
from singerkit.schema.openapi_references import MAX_REFERENCE_DEPTH, OpenAPIResolver
from singerkit.schema.sources import SchemaPreprocessor, SchemaSource, TKey

if TYPE_CHECKING:
    from singerkit.schema.documents import DocumentSource
    from singerkit.types import Schema

__all__ = ["OpenAPISchema", "OpenAPISchemaNormalizer"]


class OpenAPISchema(SchemaSource[TKey]):
    """The schemas of an OpenAPI document.

    References are followed within the document. A schema within itself is cut where it repeats: an object of which
    nothing is said. The subtypes of a discriminated schema become one object with the properties of all.
    """

    def __init__(
        self,
        source: DocumentSource,
        *,
        preprocessor: SchemaPreprocessor | None = None,
        max_reference_depth: int = MAX_REFERENCE_DEPTH,
    ) -> None:
        """Take where the document is: a path, a member of ``importlib.resources.files(package)``, a URL, or a dict.

        ``preprocessor`` instead of :class:`OpenAPISchemaNormalizer`. ``max_reference_depth``: references within
        references that are followed; what is nested deeper becomes an object of which nothing is said.
        """
        super().__init__(preprocessor=preprocessor or OpenAPISchemaNormalizer())
        self.source = source
        self.max_reference_depth = max_reference_depth

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The document, read when it is first needed.

        Errors: ``DiscoveryError`` when it can't be read.
        """
        return read_document(self.source)

    @property
    def spec_version(self) -> Literal["v2", "v3"]:
        """``v3`` for OpenAPI 3, ``v2`` for Swagger 2.

        Errors: ``DiscoveryError`` when the document says neither.
        """
        if "openapi" in self.spec:
            return "v3"
        if "swagger" in self.spec:
            return "v2"
        raise DiscoveryError(
            f"'{self._name}' is no OpenAPI document: it has neither 'openapi' nor 'swagger' at its top"
        )

    def get_unresolved_schema(self, key: TKey) -> Schema:
        """Give the schema of a key, with its references."""
        if isinstance(key, str) and key.startswith("#/"):
            return {"$ref": key}
        return {"$ref": self._folder + str(key).replace("~", "~0").replace("/", "~1")}

    def resolve_schema(self, key: TKey) -> Schema:
        """Give the schema of a key, references followed, in OpenAPI's dialect; a new dict.

        Errors: ``DiscoveryError`` naming the document and the pointer.
        """
        unresolved = self.get_unresolved_schema(key)
        if not isinstance(unresolved, dict):
            raise DiscoveryError(f"'{self._name}' has no schema where get_unresolved_schema looks for '{key}'")
        if isinstance(key, str) and unresolved == {"$ref": f"{self._folder}{key}"} and key not in self._names:
            raise DiscoveryError(f"'{self._name}' has no schema '{self._folder}{key}'; {self._advice(key)}")
        return self._resolver.resolve(unresolved)

    def fetch_schema(self, key: TKey) -> Schema:
        """Give the schema of a key, references followed; what a subclass changes before it is preprocessed."""
        return self.resolve_schema(key)

    @cached_property
    def _resolver(self) -> OpenAPIResolver:
        return OpenAPIResolver(self.spec, self._name, self._folder, max_depth=self.max_reference_depth)

    @property
    def _name(self) -> str:
        return document_name(self.source)

    @property
    def _folder(self) -> str:
        """The pointer of the object that holds the named schemas, with a slash at its end."""
        return "#/definitions/" if self.spec_version == "v2" else "#/components/schemas/"

    @property
    def _names(self) -> list[str]:
        components = self.spec if self.spec_version == "v2" else self.spec.get("components") or {}
        return list(components.get("definitions" if self.spec_version == "v2" else "schemas") or ())

    def _advice(self, key: str) -> str:
        close = get_close_matches(key, self._names, n=3)
        if close:
            return f"did you mean {' or '.join(close)}?"
        shown = ", ".join(sorted(self._names)[:20]) or "none"
        return f"the key is the stream's name, unless StreamSchema(..., key=...) says another; it has: {shown}"
