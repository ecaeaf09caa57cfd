"""`--infer`: a schema file from sample records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit.cli.options import Option
from singerkit.cli.plugin import Given, PluginClass, open_plugin
from singerkit.cli.run import author_code, write_stdout
from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

INFER_OPTIONS = (
    Option(("--infer",), "Read records of a stream and write the JSON Schema that they all fit.", metavar="STREAM"),
    Option(("--records",), "How many records --infer reads at most; 500 when not given.", metavar="N"),
    Option(("--output",), "Where --infer writes the schema; stdout when not given.", metavar="FILE"),
    Option(("--infer-enums",), "Texts from a short list allow no others: enum instead of examples."),
)

DEFAULT_RECORDS = 500
EXAMPLE = "{name} --config config.json --infer orders --records 500 --output schemas/orders.json"


def is_inference(given: Given) -> bool:
    """Tell whether a schema is asked for.

    Errors: ``ConfigurationError`` for an option of `--infer` without it.
    """
    if given["infer"]:
        return True
    stray = [name for name in ("records", "output", "infer_enums") if given[name]]
    if stray:
        raise ConfigurationError(f"--{stray[0].replace('_', '-')} belongs to --infer STREAM")
    return False


def write_inferred_schema(tap_class: PluginClass, given: Given, documents: dict[str, Any]) -> None:
    """Do what `--infer` asks for.

    Errors: ``ConfigurationError`` for an unknown stream or a file that can't be written; what reading the stream gives.
    """
    count = _positive(given["records"])
    target = _checked_target(given["output"])
    tap = open_plugin(tap_class, given, **documents)
    with author_code(tap_class.name):
        schema = tap.infer_schema(given["infer"], records=count, enums=given["infer_enums"])
    text = _as_text(schema)
    if target is None:
        write_stdout(text)
    else:
        _replace(target, text)


def _positive(text: str | None) -> int:
    if text is None:
        return DEFAULT_RECORDS
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ConfigurationError(f"--records: '{text}' is not a number of records (1 or more)")
    return int(text)


def _checked_target(path: str | None) -> Path | None:
    """Refuse a file that can't be written before the source is asked for records."""
    if path is None:
        return None
    from pathlib import Path

    target = Path(path)
    if target.is_dir() or not target.parent.is_dir():
        raise ConfigurationError(f"--output: '{path}' is not a file in an existing folder")
    return target


def _as_text(schema: dict[str, Any]) -> str:
    import json

    return json.dumps(schema, indent=2, ensure_ascii=False, default=str) + "\n"


def _replace(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigurationError(f"--output: can't write '{target}': {error.strerror}") from error
