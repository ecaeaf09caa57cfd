"""What singer.toml may say, as types: they read the file, and the JSON Schema for editors is made of them.

Every setting has a default that means "not said", so that the same types read the overrides of an environment; what a
pipeline can't do without is looked for when everything is put together (``document``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from singerkit.runner.project import durations

#: Names become names of folders, files and state keys, so they are plain.
NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Duration = Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=durations.PATTERN, min_length=1)]
Command = str | list[str]
Event = Literal["failure", "recovery", "success"]


class Connector(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A program, and its settings."""

    command: Annotated[
        Command,
        Meta(
            description="The command: its words as in a shell, or a list of them. It is looked for in the connector's "
            "own environment if it has a `package`, else on PATH, else among the connectors that come with singerkit. "
            "If missing, it is the connector's name.",
            examples=["tap-github", ["docker", "run", "-i", "tap-github"]],
        ),
    ] = ""
    package: Annotated[
        str | list[str],
        Meta(
            description="What `singerkit install` installs into an environment of its own: a requirement, a Git URL, "
            "or a path from this file's folder (begins with `.` or `/`; `-e ./path` to develop there); or several.",
            examples=["tap-github==1.2", "git+https://github.com/example/tap-x@v3", "./taps/tap-x"],
        ),
    ] = ""
    python: Annotated[
        str,
        Meta(description="The Python of that environment: a version or a path.", examples=["3.12"]),
    ] = ""
    inherits: Annotated[
        str,
        Meta(description="Another connector of the same kind, whose settings this one has where it says nothing else."),
    ] = ""
    config: Annotated[
        dict[str, Any],
        Meta(description="The connector's settings. `${NAME}` and `${file:path}` stand for what should not be here."),
    ] = {}
    config_file: Annotated[
        str,
        Meta(description="A JSON file with settings, from this file's folder; `config` wins over it."),
    ] = ""
    environment: Annotated[
        dict[str, str],
        Meta(description="Environment variables for the program, besides those that every program gets."),
    ] = {}
    writeback: Annotated[
        bool,
        Meta(description="The program changes its config file (rotated tokens): what it changed is kept."),
    ] = False


class Tap(Connector, frozen=True, kw_only=True):
    """A program that reads."""

    max_units: Annotated[
        int,
        Meta(ge=0, description="How many units may read at once (`run --executor`); 0: as many as there are workers."),
    ] = 0
    resources: Annotated[
        dict[str, float],
        Meta(
            description="What each unit takes of a Dask cluster's resources: a limit of an API that pipelines share.",
            examples=[{"shop-api": 1}],
        ),
    ] = {}

    select: Annotated[
        list[str],
        Meta(
            description="What is read: `stream`, `stream.property`, `stream.nested.property`, with `*`, `?` and "
            "`[...]`; `!` before a rule leaves out, and wins. If missing, the tap decides.",
            examples=[["orders.*", "!orders.note", "*.id"]],
        ),
    ] = []
    metadata: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            description="Metadata by stream, or by stream and property, over what discovery says; names may have "
            "wildcards.",
            examples=[{"orders": {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}}],
        ),
    ] = {}
    schema: Annotated[
        dict[str, dict[str, dict[str, Any]]],
        Meta(
            description="JSON Schema by stream and property, in place of what discovery says; names may have "
            "wildcards.",
            examples=[{"orders": {"total": {"type": ["number", "null"]}}}],
        ),
    ] = {}
    catalog: Annotated[
        str,
        Meta(description="A catalog file, from this file's folder, to be used instead of discovery."),
    ] = ""
    catalog_option: Annotated[
        Literal["--catalog", "--properties"],
        Meta(description="How the tap is given a catalog; old taps know `--properties` only."),
    ] = "--catalog"


class Target(Connector, frozen=True, kw_only=True):
    """A program that stores."""

    max_units: Annotated[
        int,
        Meta(
            ge=0,
            description="How many units may write at once (`run --executor`); 0: as many as there are workers. Of the "
            "targets that come with singerkit those of files, SQLite and DuckDB take one.",
        ),
    ] = 0


class Mapper(Connector, frozen=True, kw_only=True):
    """A program that rewrites messages between tap and target."""


class Pipeline(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A tap and a target, and how they are run."""

    tap: Annotated[str, Meta(description="The name of a tap.")] = ""
    target: Annotated[str, Meta(description="The name of a target.")] = ""
    mappers: Annotated[list[str], Meta(description="Names of mappers, in the order of the messages' way.")] = []
    state_key: (
        Annotated[
            str,
            Meta(
                description="The name of the state in the store. If missing, the pipeline's name. With `--env prod` "
                "it is `prod:` and this name, so that environments never share bookmarks.",
                min_length=1,
            ),
        ]
        | None
    ) = None
    state_in: Annotated[
        Literal["store", "target"],
        Meta(
            description="Who keeps the state: the store of `[state]`, or the target, in one transaction with the rows, "
            "so that each record is there exactly once; the store mirrors it then. The SQL targets of singerkit can."
        ),
    ] = "store"
    schedule: Annotated[
        str,
        Meta(
            description="When it is to run, in five fields as of cron, or `@hourly` and the like; used by `deploy`.",
            examples=["0 * * * *", "@daily"],
        ),
    ] = ""
    timeout: Annotated[Duration, Meta(description="The most that one attempt may take.")] | None = None
    idle_timeout: Annotated[Duration, Meta(description="The most that may pass without anything moving.")] | None = None
    grace: Annotated[
        Duration,
        Meta(description="When the runner is asked to end: how long programs may take until they are ended by force."),
    ] = 30.0
    drain: Annotated[
        Duration, Meta(description="After a timeout: how long the target may take to store what it has.")
    ] = 600.0
    retries: Annotated[int, Meta(ge=0, description="How often a failed run is tried again, from where it came to.")] = 0
    retry_wait: Annotated[Duration, Meta(description="The time before the next try.")] = 5.0
    after: Annotated[
        list[str], Meta(description="Shell commands that follow a success.", examples=[["dbt build"]])
    ] = []
    stale_after: (
        Annotated[Duration, Meta(description="How old the last success may be before `singerkit status` complains.")]
        | None
    ) = None
    full_refresh: Annotated[
        bool | list[str],
        Meta(description="Streams that are always read from the beginning; `true`: all."),
    ] = False
    streams: Annotated[
        list[str],
        Meta(
            description="Only these of the streams that the tap's `select` gives; wildcards and `!` as there.",
            examples=[["orders", "order_*"]],
        ),
    ] = []
    select: Annotated[list[str], Meta(description="Rules added to the tap's `select`.")] = []
    tap_config: Annotated[dict[str, Any], Meta(description="Settings over the tap's.")] = {}
    target_config: Annotated[dict[str, Any], Meta(description="Settings over the target's.")] = {}
    labels: Annotated[dict[str, str], Meta(description="Facts for logs and metrics.")] = {}


class State(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where states, leases and the history of runs are kept."""

    url: Annotated[
        str,
        Meta(
            description="`sqlite:///path` (from this file's folder), `postgresql://...`, `s3://bucket/prefix`, "
            "`gs://...`, `az://...` or `file:///folder`. If missing, `.singerkit/state.db` beside this file.",
            examples=["postgresql://singer:${STATE_PASSWORD}@db/states"],
        ),
    ] = ""
    keep_runs: Annotated[
        int,
        Meta(
            ge=0,
            description="How many runs of each pipeline are kept at least, newest first, and the last success whenever "
            "it was; older ones are forgotten now and then. 0: all.",
        ),
    ] = 1_000
    keep_revisions: Annotated[
        int,
        Meta(
            ge=0,
            description="How many revisions of each state are kept at least, newest first; older ones are forgotten "
            "now and then, and can't be restored. 0: all.",
        ),
    ] = 500


class Notification(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A hook or a webhook that is told how a run ended."""

    on: Annotated[
        list[Event],
        Meta(
            description="When it is told; `recovery` is the first success after a failure. If missing, failure and "
            "recovery."
        ),
    ] = []
    url: Annotated[str, Meta(description="Gets a POST with the run's facts as JSON.")] = ""
    headers: Annotated[dict[str, str], Meta(description="Headers of that request.")] = {}
    command: Annotated[Command, Meta(description="A command that gets the run's facts as JSON on stdin.")] = ""
    pipelines: Annotated[list[str], Meta(description="Of which pipelines; wildcards. If missing, all.")] = []


class Settings(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All but the environments: what an environment may override."""

    taps: Annotated[dict[Name, Tap], Meta(description="Programs that read.")] = {}
    targets: Annotated[dict[Name, Target], Meta(description="Programs that store.")] = {}
    mappers: Annotated[dict[Name, Mapper], Meta(description="Programs that rewrite.")] = {}
    pipelines: Annotated[dict[Name, Pipeline], Meta(description="What `singerkit run NAME` runs.")] = {}
    state: State = State()
    notify: Annotated[dict[Name, Notification], Meta(description="Who is told how runs end.")] = {}


class Environment(Settings, frozen=True, kw_only=True):
    """Overrides, merged into what the file says otherwise; lists are replaced as a whole."""

    inherits: Annotated[str, Meta(description="Another environment, whose overrides come first.")] = ""


class Document(Settings, frozen=True, kw_only=True):
    """A singer.toml."""

    env: Annotated[
        dict[Name, Environment],
        Meta(description="Environments: overrides for `--env NAME` or SINGERKIT_ENV=NAME."),
    ] = {}
