"""Where the documentation helps: an address for each error, which the command line shows below it.

The page has a section for each kind of error that somebody can do something about; a test holds them together.
"""

from __future__ import annotations

from typing import Final

#: As in the metadata of the project.
DOCUMENTATION: Final = "https://singerkit.readthedocs.io"
_PAGES: Final = f"{DOCUMENTATION}/en/latest"

#: Names of error classes with a section of their own; the others are told with the nearest of their bases.
SECTIONS: Final = frozenset(
    {
        "SingerKitError",
        "ConfigurationError",
        "ConfigValidationError",
        "CatalogError",
        "StateError",
        "MissingExtraError",
        "MappingError",
        "DiscoveryError",
        "ProtocolError",
        "InvalidInputLine",
        "RecordsWithoutSchemaException",
        "SyncError",
        "RetriableSyncError",
        "RetriableAPIError",
        "SkippableSyncError",
        "FatalSyncError",
        "FatalAPIError",
        "AuthenticationError",
        "RetryBudgetError",
        "InvalidStreamSortException",
        "DataError",
        "MissingKeyPropertiesError",
        "InstallError",
        "StoreError",
        "LockedError",
        "FencedError",
        "ConflictError",
    }
)
#: For exceptions that nobody foresaw: what the machine says, a mistake of singerkit, anything else.
MACHINE: Final = "errors-of-the-machine"
INTERNAL: Final = "internal-errors"
CONNECTOR_CODE: Final = "exceptions-of-a-connector"


def page(name: str, section: str = "") -> str:
    """Give the address of a page, ``how-to/deploy``, and of a section of it."""
    return f"{_PAGES}/{name}.html" + (f"#{section}" if section else "")


def page_on_error(kind: type[BaseException] | str) -> str:
    """Give the address of the section on errors of a class, or of the section that is named."""
    if isinstance(kind, type):
        kind = next((base.__name__.lower() for base in kind.__mro__ if base.__name__ in SECTIONS), CONNECTOR_CODE)
    return page("reference/errors", kind)


def page_on_run(status: str) -> str:
    """Give the address of the section on runs that ended in a way."""
    return page("reference/errors", f"run-{status.replace('_', '-')}")
