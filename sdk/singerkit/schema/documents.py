"""Reading a schema document, JSON or YAML, from wherever its author keeps it.

What an author names is read; what a *document* names never is: a reference to another file or URL is refused where it
is met (:mod:`singerkit.schema.openapi`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias
from urllib.parse import urlsplit

from singerkit.errors import DiscoveryError, MissingExtraError

if TYPE_CHECKING:
    import yaml

#: Units of :func:`_download`: bytes of a document, and seconds until its last byte.
MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024
DOWNLOAD_DEADLINE_S = 60.0
_CHUNK_BYTES = 64 * 1024


class Readable(Protocol):
    """What a ``Path`` and a member of ``importlib.resources.files(package)`` have in common."""

    @property
    def name(self) -> str:
        """The file's name, without its folder."""

    def read_bytes(self) -> bytes:
        """Give the content."""

    def joinpath(self, child: str, /) -> Any:
        """Give a file below this folder."""


#: Where a document is: a path, a member of ``importlib.resources.files(package)``, an ``https://`` URL, or a dict.
DocumentSource: TypeAlias = "str | Path | Readable | Mapping[str, Any]"
#: Where a folder of documents is: a path, such a member, or a package.
FolderSource: TypeAlias = "str | Path | Readable | ModuleType"


def read_document(source: DocumentSource) -> dict[str, Any]:
    """Give the JSON object that a document holds.

    A name that ends in ``.json`` is read as JSON, one in ``.yaml`` or ``.yml`` as YAML, any other by its first
    character. A URL is asked for without credentials.

    Errors: ``DiscoveryError`` when it can't be read or holds no object; ``MissingExtraError`` for YAML without PyYAML.
    """
    if isinstance(source, Mapping):
        return dict(source)
    name = document_name(source)
    try:
        content, suffix = _content(source)
        document = _decoded(content, suffix)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DiscoveryError(f"can't read the schema document '{name}': {why}; is its path right?") from error
    except (ValueError, RecursionError) as error:
        # The first line says where it is; the others may quote the document.
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise DiscoveryError(f"the schema document '{name}' is neither JSON nor YAML: {why}") from error
    if not isinstance(document, dict):
        raise DiscoveryError(
            f"the schema document '{name}' holds {_kind(document)}, and a JSON object is needed (one with 'properties')"
        )
    return document


def read_text(source: DocumentSource) -> str:
    """Give the text of a document that is neither JSON nor YAML.

    Errors: ``DiscoveryError`` when it can't be read.
    """
    if isinstance(source, Mapping):
        raise DiscoveryError("a path is needed, not a dict")
    try:
        return _content(source)[0].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise DiscoveryError(
            f"can't read the schema document '{document_name(source)}': {why}; is its path right?"
        ) from error


def document_name(source: DocumentSource) -> str:
    """Give what messages call a document: a path as it was given, a URL without what may be secret in it."""
    if isinstance(source, Mapping):
        return "the given dict"
    if _is_url(source):
        parts = urlsplit(str(source))
        return f"{parts.scheme}://{parts.hostname}{parts.path}"
    return str(source) if isinstance(source, str | Path) else source.name


def open_folder(source: FolderSource) -> Readable:
    """Give the folder that a path, a package or a member of one names."""
    if isinstance(source, ModuleType):
        from importlib.resources import files  # takes 10 ms, and few taps need it

        return files(source)
    return Path(source) if isinstance(source, str) else source


def _is_url(source: Any) -> bool:
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def _content(source: str | Path | Readable) -> tuple[bytes, str]:
    """Give the bytes, and the suffix that tells their form."""
    if _is_url(source):
        return _download(str(source))
    file = Path(source) if isinstance(source, str) else source
    return file.read_bytes(), Path(file.name).suffix.lower()


def _download(url: str) -> tuple[bytes, str]:
    # requests takes 0.15 s to import; few documents come from afar.
    import requests

    give_up_at = time.monotonic() + DOWNLOAD_DEADLINE_S
    content = bytearray()
    try:
        with requests.get(url, timeout=10, stream=True, headers={"Accept": "application/json, */*;q=0.5"}) as response:
            if not response.ok:
                raise DiscoveryError(f"'{document_name(url)}' answered {response.status_code} to a plain GET")
            for chunk in response.iter_content(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_DOWNLOAD_BYTES or time.monotonic() > give_up_at:
                    raise DiscoveryError(
                        f"'{document_name(url)}' is larger than {MAX_DOWNLOAD_BYTES // 2**20} MiB or takes longer than "
                        f"{DOWNLOAD_DEADLINE_S:.0f} s; keep a copy beside the tap"
                    )
            kind = response.headers.get("Content-Type", "").lower()
    except requests.RequestException as error:
        raise DiscoveryError(
            f"can't fetch the schema document '{document_name(url)}': {type(error).__name__}; a copy beside the tap "
            "makes it independent of the network"
        ) from error
    named = Path(urlsplit(url).path).suffix.lower()
    return bytes(content), ".json" if "json" in kind else ".yaml" if "yaml" in kind else named


def _decoded(content: bytes, suffix: str) -> Any:
    if suffix == ".json" or (suffix not in {".yaml", ".yml"} and content.lstrip()[:1] in {b"{", b"["}):
        return json.loads(content)
    return _load_yaml(content)


def _load_yaml(content: bytes) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError(
            "a schema document in YAML needs PyYAML: pip install 'singerkit[yaml]', or convert it to JSON"
        ) from None
    try:
        return yaml.load(content, Loader=_json_like(getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506  # built on SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _json_like(safe: type[yaml.SafeLoader]) -> type[yaml.SafeLoader]:
    """Give a loader that reads scalars as JSON would, which is what OpenAPI asks for (3.1.0, section 4.3).

    YAML 1.1 makes a boolean of ``no``, a date of ``2024-01-01`` and a number of the name ``200``.
    """

    class JSONLikeLoader(safe):  # type: ignore[misc, valid-type]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
            first: [(tag, pattern) for tag, pattern in found if _stays(tag, first)]
            for first, found in safe.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
            self.flatten_mapping(node)
            # The text as it stands: names of properties and statuses are names, whatever they look like.
            return {str(name.value): self.construct_object(value, deep=deep) for name, value in node.value}

    return JSONLikeLoader


def _stays(tag: str, first: str) -> bool:
    if tag.endswith(":timestamp"):
        return False
    return first in "tTfF" if tag.endswith(":bool") else True


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)
