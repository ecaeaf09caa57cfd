import json

import pytest


def test_json_has_the_known_keys(run):
    done = run("tap", "--about", "--format=json")
    about = json.loads(done.stdout)
    assert done.returncode == 0
    assert list(about) == [
        "name",
        "description",
        "version",
        "sdk_version",
        "supported_python_versions",
        "capabilities",
        "settings",
    ]
    assert about["name"] == "tap-x"
    assert about["description"] == "Moves nothing at all."
    assert about["capabilities"] == ["about", "schema-flattening", "catalog", "discover"]
    assert about["settings"]["required"] == ["api_key"]
    assert {"api_key", "flattening_enabled", "max_concurrency"} <= set(about["settings"]["properties"])


def test_text_shows_types_and_variables(run):
    shown = run("tap", "--about").stdout
    assert shown.startswith("tap-x v1.2.3 (singerkit v0.1.0)\nMoves nothing at all.\n")
    assert "  api_key  (string, required, secret, env TAP_X_API_KEY)\n      The key | of the API.\n" in shown
    assert "  page_size  (integer, default 100, env TAP_X_PAGE_SIZE)\n" in shown
    assert "hidden-default" not in shown


def test_markdown_is_a_table_for_a_readme(run):
    lines = run("tap", "--about", "--format", "markdown").stdout.splitlines()
    assert lines[0] == "# `tap-x`"
    assert "| `api_key` | string (secret) | yes |  | The key \\| of the API. |" in lines
    assert "| `page_size` | integer |  | `100` |  |" in lines
    assert "| `auth.user` | string |  |  | Who. |" in lines
    assert not any("hidden-default" in line for line in lines)


@pytest.mark.parametrize(
    "words", [("--format", "json", "--about"), ("--about", "--format", "json", "--log-level=debug")]
)
def test_the_order_of_words_does_not_matter(run, words):
    assert run("tap", *words).stdout == run("tap", "--about", "--format=json").stdout
