"""The page of settings is made of the schemas, and names every variable of the environment that the code reads.

``SINGERKIT_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from singerkit import SQLTarget
from singerkit.cli.about import settings_of
from singerkit.config.settings import settings_schema
from singerkit.mappers import InlineMapper
from singerkit.taps import Tap
from singerkit.targets import Target

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/settings.md"
KINDS = {"tap": Tap, "target": Target, "mapper": InlineMapper}
#: Capabilities that bring settings and that a plugin has to name itself.
NAMED = {"target": ("hard-delete", "target-schema")}

HEAD = """# Settings

What the config of every tap, target and mapper can have, beside its own settings, which `--about` lists. Settings of
the connectors that come with singerkit are on [their pages](connectors/index.md), those of a project in
[singer.toml](singer-toml.md).

A config is a JSON file (`--config FILE`, several times: later files win). With `--config=ENV` each setting at the top
level is read from a variable, `TAP_SHOP_START_DATE` for `start_date` of `tap-shop`, and from a file `.env`. Every
problem of a config is told at once. Some settings come with a capability; `--about` lists those that a connector has.
"""

ENVIRONMENT = """## Environment

| variable | read by | meaning |
|---|---|---|
| `TAP_SHOP_...` | `tap-shop --config=ENV` | a setting; likewise for every tap, target and mapper |
| `TAP_SHOP_LOGLEVEL`, `SINGERKIT_LOG_LEVEL`, `LOGLEVEL` | all three | the first that is set: `debug` to `critical` |
| `SINGERKIT_LOG_FORMAT` | all three | `text` or `json`, where `--log-format` is not given |
| `SINGERKIT_ENV` | `singerkit` | the environment of `singer.toml`, where `--env` is not given |
| `SINGERKIT_LEASE_SECONDS` | `singerkit run` | how long the lease of a run that was killed stands; 60 |
| `SINGERKIT_INSTALLER` | `singerkit install` | `pip`: not uv, though there is one |
| `XDG_STATE_HOME` | `singerkit` | where states and runs are kept that belong to no project |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, ... | `singerkit run` | where runs are sent; see [Metrics](metrics.md) |

Steps that follow a run (`after`) and commands that are told of one (`notify`) get these: `SINGERKIT_RUN_ID`,
`SINGERKIT_PIPELINE`, `SINGERKIT_STATUS`; steps also `SINGERKIT_RECORDS`, `SINGERKIT_STREAMS` and
`SINGERKIT_STATE_REVISION`, commands also `SINGERKIT_EVENT`.
"""


def page_text():
    parts = [HEAD]
    for kind in KINDS:
        parts += [f"## Settings of every {kind}\n", table(kind, settings_schema({}, [], kind=kind))]
    for capability, kinds in capabilities().items():
        found = {kind: table(kind, brought_by(capability, kind)) for kind in kinds}
        alike = len(set(found.values())) == 1
        for kind, text in [*found.items()][: 1 if alike else None]:
            what = "" if alike else f" of a {kind}"
            parts += [f"## Settings{what} with the capability `{capability}`\n", text]
    parts += ["## Settings of every target of a database\n", "\n".join(sql_rows()) + "\n", ENVIRONMENT]
    return "\n".join(parts)


def capabilities():
    """Give the capabilities that bring settings, each with the kinds of plugins to which it brings them."""
    found = {}
    for kind, plugin in KINDS.items():
        for capability in (*map(str, plugin.capabilities), *NAMED.get(kind, ())):
            if brought_by(capability, kind)["properties"]:
                found.setdefault(capability, []).append(kind)
    return found


def brought_by(capability, kind):
    every = settings_schema({}, [], kind=kind)["properties"]
    schema = settings_schema({}, [capability], kind=kind)
    return {"properties": {name: said for name, said in schema["properties"].items() if name not in every}}


def table(kind, schema):
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *(row(setting, schema) for setting in settings_of(kind, schema))]) + "\n"


def sql_rows():
    """Give what ``target-postgres`` and its like have and other targets have not."""
    from singerkit.connectors.target_postgres import TargetPostgres
    from singerkit.connectors.target_sqlite import TargetSQLite

    every = settings_schema({}, [*map(str, SQLTarget.capabilities), *NAMED["target"]], kind="target")["properties"]
    first, second = TargetPostgres.settings_schema(), TargetSQLite.settings_schema()
    yield from ("| setting | type | default | meaning |", "|---|---|---|---|")
    for setting in settings_of("target", first):
        said = first["properties"].get(setting.name)
        if said is None or said != second["properties"].get(setting.name) or said == every.get(setting.name):
            continue
        yield row(setting, first)


def row(setting, schema):
    said = schema["properties"].get(setting.name, {})
    values = [value for value in said.get("enum", ()) if value is not None]
    kind = " or ".join(f"`{value}`" for value in values) or setting.types
    cells = [f"`{setting.name}`", f"{kind} (secret)" if setting.is_secret else kind]
    cells.append(f"`{setting.default}`" if setting.default else "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in [*cells, setting.description]) + " |"


def test_the_page_is_what_the_schemas_say():
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(page_text(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page_text(), "SINGERKIT_WRITE_DOCS=1 writes the page"


def test_every_variable_that_the_code_names_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    named = set()
    for file in (ROOT / "sdk").rglob("*.py"):
        named |= set(re.findall(r"\b(?:SINGERKIT|XDG)_[A-Z_]+[A-Z]\b", file.read_text(encoding="utf-8")))
    assert len(named) > 8
    assert not {name for name in named - {"SINGERKIT_COMPLETE"} if f"`{name}`" not in page}


def test_every_setting_has_a_meaning():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        assert not line.startswith("| `") or not line.endswith("|  |"), line
