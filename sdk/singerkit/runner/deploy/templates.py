"""Where the templates of files for schedulers are, and how one is filled in.

A template is a Jinja template whose marks are ``[[ ]]``, ``[% %]`` and ``[# #]``: braces belong to the files.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from singerkit.errors import ConfigurationError, MissingExtraError

_PACKAGE = Path(__file__).parents[2]
#: In an installed package beside its modules, in a checkout at the top of the repository.
_FOLDERS = (_PACKAGE / "templates", _PACKAGE.parents[1] / "templates")
_ENDING = ".jinja"
#: What is shown to the person and not written.
NOTES = "notes.txt"


class Templates:
    """The templates of a platform.

    Errors of all methods: ``ConfigurationError`` in an installation that lacks them; ``MissingExtraError`` without the
    extra ``deploy``.
    """

    def __init__(self, platform: str) -> None:
        found = (folder / platform for folder in _FOLDERS if (folder / platform).is_dir())
        folder = next(found, None)
        if folder is None:
            raise ConfigurationError(
                f"this installation of singerkit has no templates for {platform}: install it again"
            )
        self._folder = folder
        self._environment = _environment(folder)

    def names(self) -> Iterator[str]:
        """Give the paths of the files that it makes, as patterns: ``@pipeline@`` stands for a pipeline's name."""
        for path in sorted(self._folder.rglob(f"*{_ENDING}")):
            name = str(path.relative_to(self._folder)).removesuffix(_ENDING)
            if name != NOTES:
                yield name

    def fill(self, name: str, facts: Mapping[str, Any]) -> str:
        """Fill one in; gives nothing where it has nothing to say."""
        text: str = self._environment.get_template(name + _ENDING).render(facts)
        return text if text.strip() else ""


def _environment(folder: Path) -> Any:
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("files are made of templates with Jinja: pip install 'singerkit[deploy]'") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - none of it is HTML; what comes in is quoted by the filters below
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    environment.filters |= _FILTERS
    return environment


def _quoted(value: Any) -> str:
    """Write a value as JSON, which YAML and Python read too."""
    return json.dumps(value, ensure_ascii=False)


def _crontab(text: str) -> str:
    """Write a command for a crontab, where a bare percent sign ends it (crontab(5))."""
    return text.replace("%", r"\%")


def _unit_word(text: str) -> str:
    """Write a word of a command for systemd (systemd.service(5), "Command lines")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or shlex.quote(text) != text else text


def _unit_path(text: str) -> str:
    """Write a path for a setting of systemd that is no command: only specifiers are special."""
    return text.replace("%", "%%")


def _github_secret(name: str) -> str:
    """Give the name of the secret for a variable; GitHub keeps those that begin with GITHUB_ to itself."""
    return f"SINGERKIT_{name}" if name.upper().startswith("GITHUB_") else name


_FILTERS = {
    "github_secret": _github_secret,
    "quoted": _quoted,
    "shell": shlex.quote,
    "command": shlex.join,
    "crontab": _crontab,
    "unit_word": _unit_word,
    "unit_path": _unit_path,
}
