"""The command line of a tap."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from singerkit.cli.infer import EXAMPLE as INFER_EXAMPLE
from singerkit.cli.infer import INFER_OPTIONS, is_inference, write_inferred_schema
from singerkit.cli.options import Option
from singerkit.cli.plugin import Given, PluginClass, PluginCommand, open_plugin
from singerkit.cli.run import author_code, write_stdout
from singerkit.errors import CatalogError, ConfigurationError, SingerKitError, StateError, SyncError
from singerkit.http.tape import recording_to, replaying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SUMMARY = "Without --discover or --test it reads the selected streams and writes them to stdout as Singer messages."

_EXAMPLES = (
    "{name} --config config.json --discover > catalog.json",
    "{name} --config config.json --test",
    INFER_EXAMPLE,
    "{name} --config config.json --preview STREAM --limit 5",
    "{name} --config config.json --record recordings | target-jsonl",
    "{name} --config config.json --catalog catalog.json --state state.json | target-jsonl",
)

#: Records that a preview shows.
DEFAULT_LIMIT = 10

_OPTIONS = (
    Option(("-s", "--state"), "JSON file with the state to go on from.", metavar="FILE"),
    Option(("--catalog",), "JSON file that says which streams are selected.", metavar="FILE"),
    Option(("-p", "--properties"), "The same in the older form.", metavar="FILE"),
    Option(("-d", "--discover"), "Write the catalog of all streams to stdout."),
    Option(
        ("--test",),
        "Read one record of each stream; --test=schema writes the schemas only.",
        choices=("records", "schema", "all"),
        if_bare="records",
    ),
    *INFER_OPTIONS,
    Option(("--preview",), "Show the first records of a stream, and what was asked for them.", metavar="STREAM"),
    Option(("--limit",), "How many records --preview shows; 10 when not given.", metavar="N"),
    Option(("--units",), "Write the parts that can be read by themselves, one a line, for runners."),
    Option(("--unit",), "Read one of these parts only.", metavar="JSON"),
    Option(("--record",), "Also keep every answer of the API in a folder, without secrets.", metavar="DIR"),
    Option(("--replay",), "Answer from such a folder instead: no network, no waiting, no credentials.", metavar="DIR"),
)


def tap_command(tap_class: PluginClass) -> PluginCommand:
    """Give the command of a tap class."""
    return PluginCommand(tap_class, _OPTIONS, _work, summary=_SUMMARY, examples=_EXAMPLES)


def _work(tap_class: PluginClass, given: Given) -> object:
    with _tape(given):
        if given["discover"]:
            write_stdout(_discovered(tap_class, given))
            return None
        if is_inference(given):
            write_inferred_schema(tap_class, given, _documents(given))
            return None
        limit = _limit(given)
        tap = open_plugin(tap_class, given, **_documents(given))
        if given["preview"]:
            from singerkit.cli.preview import show_preview  # rich and requests take a while to import

            show_preview(tap, given["preview"], limit)
            return None
        if given["units"]:
            from singerkit.protocol.codec import encode  # as above

            write_stdout("\n".join(encode(unit).decode() for unit in tap.units()))
            return None
        if given["unit"]:
            from singerkit.engine.unit import parse_unit

            return tap.sync_unit(parse_unit(given["unit"]))
        return _VERBS[given["test"]](tap)


def _tape(given: Given) -> AbstractContextManager[None]:
    if given["record"] and given["replay"]:
        raise ConfigurationError("--record and --replay exclude each other: one writes the folder, the other reads it")
    if given["record"]:
        return recording_to(given["record"])
    return replaying(given["replay"]) if given["replay"] else nullcontext()


def _limit(given: Given) -> int:
    text = given["limit"]
    if text is None:
        return DEFAULT_LIMIT
    if not given["preview"]:
        raise ConfigurationError("--limit belongs to --preview STREAM")
    if not text.isdecimal() or not int(text):
        raise ConfigurationError("--limit has to be a number of records, 1 or more")
    return int(text)


def _test(tap: Any) -> None:
    if not tap.run_connection_test():
        raise SyncError("the connection test has failed")


#: What to do with the tap, by the value of --test.
_VERBS: Mapping[str | None, Callable[[Any], object]] = {
    None: lambda tap: tap.sync_all(),
    "schema": lambda tap: tap.write_schemas(),
    "records": _test,
    "all": _test,
}


def _discovered(tap_class: PluginClass, given: Given) -> str:
    """Give the catalog as JSON. Without any config it is tried all the same: the streams of many taps are fixed."""
    if given["config"]:
        return _catalog_text(tap_class, given, validate_config=True)
    try:
        return _catalog_text(tap_class, given, validate_config=False)
    except SingerKitError:
        raise
    except Exception:
        # Say that the config is missing, if that is what is wrong, instead of what it led to.
        open_plugin(tap_class, given, validate_config=True)
        raise


def _catalog_text(tap_class: PluginClass, given: Given, *, validate_config: bool) -> str:
    tap = open_plugin(tap_class, given, validate_config=validate_config, **_documents(given))
    with author_code(tap_class.name):
        return str(tap.catalog_json_text)


def _documents(given: Given) -> dict[str, Any]:
    """Read the files of catalog and state; None for what is not given."""
    from singerkit.config.resolve import read_json_object

    if given["catalog"] and given["properties"]:
        raise ConfigurationError("--catalog and --properties exclude each other: the second is the older form")
    documents: dict[str, Any] = {"catalog": None, "state": None}
    if given["catalog"]:
        documents["catalog"] = read_json_object(given["catalog"], "catalog")
        # To the class an empty dict is no catalog; but who names a file means what is in it.
        if not documents["catalog"]:
            raise CatalogError(f"catalog file '{given['catalog']}' has no 'streams': take what --discover writes")
    if given["properties"]:
        from singerkit.protocol.catalog import legacy_catalog  # only the older form needs it

        documents["catalog"] = legacy_catalog(read_json_object(given["properties"], "catalog")).to_dict()
    if given["state"]:
        documents["state"] = _state_value(read_json_object(given["state"], "state"), given["state"])
    return documents


def _state_value(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Refuse a whole STATE message: taken for a state it has no bookmarks, so the tap would begin anew."""
    if str(document.get("type", "")).upper() == "STATE" and "value" in document:
        raise StateError(f"state file '{path}' holds a whole STATE message: save only what its 'value' holds")
    return document
