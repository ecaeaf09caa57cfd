"""`singerkit state`: look at stored states, and change them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import msgspec

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.workplace import workplace, workplace_options
from singerkit.clock import utc_text
from singerkit.errors import ConfigurationError
from singerkit.protocol.codec import encode
from singerkit.runner.project import Project
from singerkit.runner.state_changes import changes
from singerkit.runner.state_edits import Edit, Editor, revision_of
from singerkit.runner.state_files import States, exported, read_states, states_of_text
from singerkit.runner.states import bookmarks_of, merged, names_streams
from singerkit.runner.store.base import DamagedStateError, StateStore, StoredState
from singerkit.telemetry.redact import escape_controls

_HELP = """Look at stored states, and change them.

KEY is the name of a pipeline of singer.toml, or a state's key as `state list` shows it. Each change is a new revision:
`state history KEY` shows them, `state restore KEY REVISION` brings one back. A state that a run is using can't be
changed meanwhile (exit code 75); --force takes it from the run, which then fails.
"""


@dataclass(frozen=True)
class _Session:
    """An open store, and how names and results are to be understood and shown."""

    editor: Editor
    project: Project | None
    as_json: bool

    def key(self, name: str) -> str:
        """Give the key of a pipeline's name, or the key itself."""
        return self.project.state_key(name) if self.project and name in self.project.pipelines else name

    def _mirrored(self, keys: Collection[str]) -> list[str]:
        """Give the pipelines with one of the keys whose state is kept by their target."""
        if self.project is None:
            return []
        names = (name for name in self.project.pipelines if self.project.pipeline(name).state_in == "target")
        return [name for name in names if self.project.state_key(name) in keys]

    def say(self, *edits: Edit) -> None:
        """Say what was changed, and how to undo it."""
        for name in self._mirrored({edit.key for edit in edits}):
            click.echo(
                f"note: pipeline '{name}' keeps its state in its target, which says where the next run begins; the "
                "store only mirrors it",
                err=True,
            )
        if self.as_json:
            write_stdout("\n".join(encode(_edit_facts(edit)).decode() for edit in edits))
            return
        write_stdout("\n".join(line for edit in edits for line in _edit_lines(edit)))


_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
_FORCE = click.option("--force", is_flag=True, help="Take the state from a run that is using it; that run fails.")
_REPLACE = click.option("--replace", is_flag=True, help="Put it in the place of a state that is there.")


def _command(name: str, *, changes_states: bool = False) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function that gets a session a command of the group, with the options that all have."""

    def decorate(function: Callable[..., None]) -> click.Command:
        def run(
            project_path: Path | None,
            environment: str | None,
            state_url: str | None,
            as_json: bool,
            force: bool = False,
            **given: Any,
        ) -> None:
            def work() -> None:
                with workplace(project_path, environment, state_url) as place:
                    function(_Session(Editor(place.store, force), place.project, as_json), **given)

            sys.exit(boundary("singerkit", work))

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        options = (_JSON, _FORCE) if changes_states else (_JSON,)
        for option in reversed(options):
            run = option(run)
        run = workplace_options(run)
        return state.command(name)(run)

    return decorate


@click.group("state", help=_HELP)
def state() -> None:
    """Hand over to the command that is named."""


# -- looking -----------------------------------------------------------------------------------------------------------


@_command("list")
@click.argument("prefix", default="")
def _list(session: _Session, prefix: str) -> None:
    """List the states there are, or those whose keys begin with PREFIX."""
    store = session.editor.store
    found = [(key, stored) for key in store.keys(prefix) if (stored := _stored_or_damaged(store, key)) is not None]
    if session.as_json:
        write_stdout(encode([_listed(key, stored) for key, stored in found]).decode())
    elif found:
        _table(["key", "revision", "at", "by", "streams"], [_row(key, stored) for key, stored in found])
    else:
        click.echo("there is no state", err=True)


@_command("show")
@click.argument("key")
@click.option("--revision", type=int, help="An older one.")
@click.option("--stream", help="One stream's bookmark only.")
def _show(session: _Session, key: str, revision: int | None, stream: str | None) -> None:
    """Show the state of KEY."""
    key = session.key(key)
    editor = session.editor
    stored = editor.found(key) if revision is None else revision_of(editor.store, key, revision)
    value: Any = stored.state if stream is None else _bookmark(key, stored.state, stream)
    if session.as_json:
        write_stdout(encode({**_facts(key, stored), "state": value}).decode())
    else:
        click.echo(f"revision {stored.revision}, {utc_text(stored.at)}, by {escape_controls(stored.run)}", err=True)
        write_stdout(_pretty(value))


@_command("history")
@click.argument("key")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many to show.")
def _history(session: _Session, key: str, limit: int) -> None:
    """Show the revisions of KEY, newest first, and what each changed."""
    key = session.key(key)
    history = session.editor.store.history(key)
    if not history:
        session.editor.found(key)
    older = [*(stored.state for stored in history[1:]), None]
    shown = [(stored, changes(before, stored.state)) for stored, before in zip(history, older, strict=True)][:limit]
    if session.as_json:
        write_stdout(encode([{**_facts(key, stored), "changes": lines} for stored, lines in shown]).decode())
        return
    _table(
        ["revision", "at", "by", "changed"],
        [
            [str(stored.revision), utc_text(stored.at), stored.run, lines[0] if lines else "nothing"]
            if len(lines) < 2
            else [str(stored.revision), utc_text(stored.at), stored.run, f"{len(lines)} streams"]
            for stored, lines in shown
        ],
    )


@_command("export")
@click.argument("key", required=False)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file, instead of stdout.")
def _export(session: _Session, key: str | None, output: Path | None) -> None:
    """Write the state of KEY as a tap takes it by --state; without KEY all states, for `state import`."""
    store = session.editor.store
    if key is not None:
        text = encode(session.editor.found(session.key(key)).state)
    else:
        text = exported({name: stored.state for name, stored in _all_states(store)})
    if output is None:
        write_stdout(text.decode())
        return
    try:
        output.write_bytes(text + b"\n")
    except OSError as error:
        raise ConfigurationError(f"'{output}' can't be written: {error.strerror}") from None


# -- changing ----------------------------------------------------------------------------------------------------------


@_command("set", changes_states=True)
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--merge", is_flag=True, help="Keep the bookmarks of streams that FILE does not name.")
def _set(session: _Session, key: str, file: Path, merge: bool) -> None:
    """Put the state in FILE ("-": stdin) in place of that of KEY."""
    key = session.key(key)
    ((_, new),) = _only_one(_states_of(file)).items()
    if merge and session.editor.store.get(key) is not None:
        session.say(session.editor.change(key, lambda stored: merged(stored, new), run="set"))
    else:
        session.say(session.editor.set(key, new, run="set"))


@_command("clear", changes_states=True)
@click.argument("key")
@click.option("--stream", "streams", multiple=True, help="Only this stream's bookmark; may be given several times.")
def _clear(session: _Session, key: str, streams: tuple[str, ...]) -> None:
    """Forget the state of KEY: the next run reads everything again."""
    session.say(session.editor.clear(session.key(key), streams))


@_command("mv", changes_states=True)
@click.argument("key")
@click.argument("new_key")
@_REPLACE
def _move(session: _Session, key: str, new_key: str, replace: bool) -> None:
    """Give the state of KEY another key."""
    session.say(*session.editor.move(session.key(key), session.key(new_key), replace=replace))


@_command("cp", changes_states=True)
@click.argument("key")
@click.argument("new_key")
@_REPLACE
def _copy(session: _Session, key: str, new_key: str, replace: bool) -> None:
    """Put the state of KEY under another key too."""
    session.say(session.editor.copy(session.key(key), session.key(new_key), replace=replace))


@_command("restore", changes_states=True)
@click.argument("key")
@click.argument("revision", type=int)
def _restore(session: _Session, key: str, revision: int) -> None:
    """Bring an old revision of KEY back, as a new one."""
    session.say(session.editor.restore(session.key(key), revision))


@_command("prune")
@click.argument("key", required=False)
@click.option("--keep", type=click.IntRange(min=1), required=True, help="How many revisions to keep.")
def _prune(session: _Session, key: str | None, keep: int) -> None:
    """Forget old revisions of KEY, or of all states; the newest one always stays."""
    store = session.editor.store
    keys = store.keys() if key is None else [session.key(key)]
    counts = {name: store.prune(name, keep) for name in keys}
    if key is not None and not counts[keys[0]] and not store.history(keys[0]):
        session.editor.found(keys[0])  # says that there is none
    if session.as_json:
        write_stdout(encode(counts).decode())
    else:
        lines = [
            f"{escape_controls(name)}: {count} revision{'' if count == 1 else 's'} forgotten"
            for name, count in counts.items()
        ]
        write_stdout("\n".join(lines or ["nothing to forget: there is no state"]))


@_command("import", changes_states=True)
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("key", required=False)
@click.option("--only", metavar="PATTERN", default="*", help="Of several states, those whose ids fit, as in 'prod:*'.")
@click.option("--rename", "renames", multiple=True, metavar="ID=KEY", help="Put a state under another key than its id.")
@_REPLACE
def _import(session: _Session, path: Path, key: str | None, only: str, renames: tuple[str, ...], replace: bool) -> None:
    """Take states over from PATH ("-": stdin), under KEY where it holds one.

    PATH is a file that a tap takes or a target wrote, what `singerkit state export` or `meltano state export` or `get`
    wrote, a Meltano project, its .meltano/meltano.db, or a folder of its states.
    """
    found = _states_of(path)
    chosen = {id: value for id, value in found.items() if id is None or fnmatchcase(id, only)}
    if not chosen:
        ids = ", ".join(f"'{id}'" for id in found)
        raise ConfigurationError(f"'{path}' has no state whose id fits '{only}'; it has {ids or 'none at all'}")
    keys = _keys_of(session, chosen, key, _renames(renames, chosen))
    if not replace and (taken := [name for name in keys.values() if session.editor.store.get(name) is not None]):
        raise ConfigurationError(f"there are states already of {', '.join(taken)}; nothing was imported: use --replace")
    session.say(*[session.editor.set(keys[id], value, run="import", replace=replace) for id, value in chosen.items()])


def _states_of(path: Path) -> States:
    return states_of_text(sys.stdin.buffer.read(), "stdin") if str(path) == "-" else read_states(path)


def _only_one(states: States) -> States:
    if len(states) != 1:
        raise ConfigurationError(
            f"there are {len(states)} states in it, and one is wanted: use `singerkit state import`"
        )
    return states


def _keys_of(session: _Session, states: States, key: str | None, renames: Mapping[str, str]) -> dict[str | None, str]:
    if key is not None:
        return dict.fromkeys(_only_one(states), session.key(key))
    if None in states:
        raise ConfigurationError("the file does not say whose state it is: name its key, as in `state import FILE KEY`")
    return {id: session.key(renames.get(id or "", id or "")) for id in states}


def _renames(pairs: Sequence[str], states: States) -> dict[str, str]:
    renames: dict[str, str] = {}
    for pair in pairs:
        id, _, new = pair.partition("=")
        if id not in states or not new:
            raise ConfigurationError(f"--rename wants ID=KEY, with an id that is imported, not '{pair}'")
        renames[id] = new
    return renames


# -- showing -----------------------------------------------------------------------------------------------------------


def _all_states(store: StateStore, prefix: str = "") -> list[tuple[str, StoredState]]:
    keys = store.keys(prefix)
    return [(key, stored) for key in keys if (stored := store.get(key)) is not None]


def _stored_or_damaged(store: StateStore, key: str) -> StoredState | DamagedStateError | None:
    try:
        return store.get(key)
    except DamagedStateError as error:
        return error


def _bookmark(key: str, value: Mapping[str, Any], stream: str) -> Any:
    from singerkit.config.problems import suggestion  # only here a name can be mistaken

    bookmarks = bookmarks_of(value) if names_streams(value) else {}
    if stream not in bookmarks:
        hint = suggestion(stream, list(bookmarks)) or f"; it has {', '.join(bookmarks) or 'none'}"
        raise ConfigurationError(f"the state of '{key}' has no bookmark of stream '{stream}'{hint}")
    return bookmarks[stream]


def _facts(key: str, stored: StoredState | DamagedStateError) -> dict[str, Any]:
    return {"key": key, "revision": stored.revision, "at": utc_text(stored.at), "by": stored.run}


def _edit_facts(edit: Edit) -> dict[str, Any]:
    return {
        "key": edit.key,
        "revision_before": edit.before.revision if edit.before else None,
        "revision_after": edit.after.revision if edit.after else None,
        "changes": edit.changes,
    }


def _edit_lines(edit: Edit) -> list[str]:
    old = f"revision {edit.before.revision}" if edit.before else "no state"
    new = f"revision {edit.after.revision}" if edit.after else "no state"
    lines = [f"  {line}" for line in edit.changes] or ["  nothing differs"]
    if edit.before and edit.changes:
        lines.append(f"  undo: singerkit state restore {shlex.quote(escape_controls(edit.key))} {edit.before.revision}")
    return [f"{escape_controls(edit.key)}: {old} -> {new}", *lines]


def _listed(key: str, stored: StoredState | DamagedStateError) -> dict[str, Any]:
    return {**_facts(key, stored), **({"damaged": True} if isinstance(stored, DamagedStateError) else {})}


def _row(key: str, stored: StoredState | DamagedStateError) -> list[str]:
    if isinstance(stored, DamagedStateError):
        streams = "damaged"
    else:
        streams = str(len(bookmarks_of(stored.state))) if names_streams(stored.state) else "-"
    return [key, str(stored.revision), utc_text(stored.at), stored.run, streams]


def _pretty(value: Any) -> str:
    return msgspec.json.format(encode(value), indent=2).decode()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write columns as wide as their widest cell: complete also where nobody reads them on a terminal."""
    lines = [head, *[[escape_controls(cell) for cell in row] for row in rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    write_stdout(
        "\n".join(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
    )
