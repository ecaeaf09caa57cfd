"""The published schema and what reads the file agree."""

import json
import re
import subprocess
import sys
import tomllib

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.cli.commands.init import _NEW
from singerkit.runner.project.json_schema import project_schema
from singerkit.runner.project.spec import Document

SCHEMA = json.loads(json.dumps(project_schema()))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def is_read(document):
    try:
        msgspec.convert(document, Document)
    except msgspec.ValidationError:
        return False
    return True


def test_it_is_a_valid_schema_in_which_everything_is_described():
    VALIDATOR.check_schema(SCHEMA)
    for table in (SCHEMA, *SCHEMA["$defs"].values()):
        assert table["additionalProperties"] is False
        assert table["description"].endswith(".")
        for name, setting in table["properties"].items():
            assert setting.get("description", "").endswith(".") or "$ref" in setting, name


def test_the_command_writes_it():
    done = subprocess.run([sys.executable, "-m", "singerkit", "project-schema"], capture_output=True, check=True)
    assert json.loads(done.stdout) == SCHEMA


def test_a_new_project_fits_it_with_all_its_comments_taken_off():
    bare = re.sub(r"^# (?=[\[a-z_]+ ?[\]=]|\[)", "", _NEW, flags=re.MULTILINE)
    document = tomllib.loads(bare.replace("# api_key", "api_key"))
    assert {"state", "env"} <= document.keys()
    assert is_read(document)
    assert list(VALIDATOR.iter_errors(document)) == []


NAMES = st.sampled_from(["a", "b-1", "", "a/b", "9.x"])
SCALARS = st.sampled_from(["", "x", "1h30m", "30", "failure", "--properties", 0, -1, 2.5, True, [], ["a"], [1], {}])


def tables(name):
    """Give tables of a kind, mostly right: known settings with values that may fit."""
    known = st.sampled_from([*SCHEMA["$defs"][name]["properties"], "unknown"])
    return st.dictionaries(known, SCALARS, max_size=3)


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "taps": st.dictionaries(NAMES, tables("Tap"), max_size=2),
        "targets": st.dictionaries(NAMES, tables("Target"), max_size=2),
        "mappers": st.dictionaries(NAMES, tables("Mapper"), max_size=2),
        "pipelines": st.dictionaries(NAMES, tables("Pipeline"), max_size=2),
        "notify": st.dictionaries(NAMES, tables("Notification"), max_size=2),
        "state": tables("State"),
        "env": st.dictionaries(
            NAMES, st.fixed_dictionaries({}, optional={"taps": st.dictionaries(NAMES, tables("Tap"))}), max_size=2
        ),
        "nonsense": SCALARS,
    },
)


@given(DOCUMENTS)
def test_what_fits_it_is_read_and_nothing_else_is(document):
    assert VALIDATOR.is_valid(document) == is_read(document)


@pytest.mark.parametrize("text", ["0s", "1d", "1.5h", "90m", "1d2h3m4s", "", "h", "1h 2m", "-1s", "1w", "2m1h"])
def test_durations_are_the_same_for_both(text):
    document = {"pipelines": {"p": {"timeout": text}}}
    assert VALIDATOR.is_valid(document) == is_read(document) == bool(text in ("0s", "1d", "1.5h", "90m", "1d2h3m4s"))
