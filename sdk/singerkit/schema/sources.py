"""Where streams get their schemas from, when those are kept elsewhere: files, a folder, an API's description.

A source is opened once and shared by the streams of a tap::

    SCHEMAS = SchemaDirectory(Path(__file__).parent / "schemas")


    class Users(Stream):
        name = "users"
        schema = StreamSchema(SCHEMAS)  # or just SCHEMAS: reads schemas/users.json

What happens when a stream's schema is first read, each time in this order and once a stream::

    StreamSchema.get_stream_schema(stream, stream_class)
      SchemaSource.get_schema(key, key_properties=...)
        fetch_schema(key)                               once a key
        preprocess_schema(schema, key_properties=...)   from the preprocessor, if there is one
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Generic, Protocol

from singerkit.errors import ConfigurationError, DiscoveryError, SingerKitError
from singerkit.schema.documents import document_name, open_folder, read_document

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from singerkit.schema.documents import DocumentSource, FolderSource
    from singerkit.types import Schema

    TKey = TypeVar("TKey", bound=Hashable, default=str)
else:
    from typing import TypeVar

    TKey = TypeVar("TKey", bound=Hashable)


class SchemaPreprocessor(Protocol):
    """Changes each schema of a source before a stream gets it."""

    def preprocess_schema(self, schema: Schema, *, key_properties: Sequence[str] = ()) -> Schema:
        """Give the schema to use; ``schema`` may not be changed, ``key_properties`` are the stream's."""


class SchemaSource(ABC, Generic[TKey]):
    """Gives schemas by key; subclass it for a source of your own and define :meth:`fetch_schema`."""

    def __init__(self, *, preprocessor: SchemaPreprocessor | None = None) -> None:
        """Begin with nothing fetched."""
        self._fetched: dict[TKey, Schema] = {}
        self._preprocessor = preprocessor

    def get_schema(self, key: TKey, /, *, key_properties: Sequence[str] = ()) -> Schema:
        """Give the schema of a key, fetched once and preprocessed; a new dict each time.

        Errors: ``DiscoveryError`` when there is none, or it is no JSON object.
        """
        if key not in self._fetched:
            self._fetched[key] = self._fetch(key)
        return self.preprocess_schema(deepcopy(self._fetched[key]), key_properties=tuple(key_properties or ()))

    @abstractmethod
    def fetch_schema(self, key: TKey) -> Schema:
        """Give the schema of a key as the source has it, a new dict each time.

        Errors: ``DiscoveryError`` when there is none.
        """

    def preprocess_schema(self, schema: Schema, *, key_properties: Sequence[str] = ()) -> Schema:
        """Give the schema that the stream uses: what the preprocessor makes of it."""
        if self._preprocessor is None:
            return schema
        return self._preprocessor.preprocess_schema(schema, key_properties=key_properties)

    def _fetch(self, key: TKey) -> Schema:
        try:
            schema = self.fetch_schema(key)
        except SingerKitError:
            raise
        except RecursionError as error:
            raise DiscoveryError(
                f"{type(self).__name__}: the schema for '{key}' contains itself (an anchor?), or is nested too deeply"
            ) from error
        except (LookupError, TypeError, AttributeError) as error:  # a subclass that looks where nothing is
            raise DiscoveryError(
                f"{type(self).__name__}: there is no schema for '{key}' ({type(error).__name__}: {error})"
            ) from error
        if not isinstance(schema, dict):
            raise DiscoveryError(f"{type(self).__name__}: the schema for '{key}' is no JSON object")
        return schema


class SchemaFile(SchemaSource[Any]):
    """One file with the schema of one stream, JSON or YAML; every key gives it."""

    def __init__(self, source: DocumentSource, *, preprocessor: SchemaPreprocessor | None = None) -> None:
        """Take where the file is; it is read when the schema is first needed."""
        super().__init__(preprocessor=preprocessor)
        self._source = source

    def fetch_schema(self, key: Any) -> Schema:
        """Read the file; references within it are resolved.

        Errors: ``DiscoveryError`` when it can't be read, or a reference leads nowhere or out of it.
        """
        return read_schema(self._source)


class SchemaDirectory(SchemaSource[str]):
    """A folder with a file for each stream, ``<key>.json``."""

    def __init__(
        self, dir_path: FolderSource, *, extension: str = "json", preprocessor: SchemaPreprocessor | None = None
    ) -> None:
        """Take the folder: a path, a package, or a member of one; ``extension`` may be ``yaml`` too."""
        super().__init__(preprocessor=preprocessor)
        self.dir_path = open_folder(dir_path)
        self.extension = extension.removeprefix(".")

    def fetch_schema(self, key: str) -> Schema:
        """Read ``<key>.<extension>``; references within it are resolved.

        Errors: ``DiscoveryError`` when there is no such file or it can't be read.
        """
        # The name of a stream may come from the source; it names a file here and never a way to one.
        if not key or {"/", "\\", "\0"} & set(key) or key in {".", ".."}:
            raise DiscoveryError(f"'{key}' can't be the name of a schema file; say StreamSchema(..., key='...')")
        return read_schema(self.dir_path.joinpath(f"{key}.{self.extension}"))


def read_schema(source: DocumentSource) -> Schema:
    """Read the schema of one stream; references within the document are resolved.

    Errors: ``DiscoveryError`` when it can't be read, or a reference leads nowhere or out of it.
    """
    from singerkit.schema.refs import resolve_references  # every tap imports this module, and few have schema files

    document = read_document(source)
    try:
        return resolve_references(document)
    except ConfigurationError as error:
        raise DiscoveryError(f"the schema document '{document_name(source)}': {error}") from error


class StreamSchema(Generic[TKey]):
    """A stream's ``schema`` attribute, taken from a source when it is first read.

    The key is the stream's name unless given. Override :meth:`get_stream_schema` where it is another, or where the
    schema needs a change.
    """

    def __init__(self, schema_source: SchemaSource[TKey], *, key: TKey | None = None) -> None:
        """Take the source and the key."""
        self.schema_source = schema_source
        self.key = key
        self._attribute = "schema"

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, stream: Any, stream_class: type) -> Schema:
        """Give the schema, the same dict each time; of a class, what its instances would get."""
        if stream is None:
            return self.get_stream_schema(stream_class, stream_class)
        schema = self.get_stream_schema(stream, stream_class)
        # From now on it is found on the instance, before this is asked.
        stream.__dict__[self._attribute] = schema
        return schema

    def get_stream_schema(self, stream: Any, stream_class: Any) -> Schema:
        """Give the schema of a stream: its key's, with its ``primary_keys`` told to the source.

        Errors: ``DiscoveryError`` with the stream's name.
        """
        key = stream.name if self.key is None else self.key
        try:
            return self.schema_source.get_schema(key, key_properties=_names(stream.primary_keys))
        except DiscoveryError as error:
            error.stream = error.stream or str(stream.name)
            raise


def _names(primary_keys: Any) -> tuple[str, ...]:
    """Give the key properties; of a class that computes them, none."""
    return () if isinstance(primary_keys, property) else tuple(primary_keys or ())
