"""config.schema.json, which helps editors to help with a config, is what the {{ cookiecutter.__kind }} says.

Write it anew: `python tests/test_config_schema.py`.
"""

import json
from pathlib import Path

from {{ cookiecutter.__module }}.{{ cookiecutter.__kind }} import {{ cookiecutter.__class }}

FILE = Path(__file__).parents[1] / "config.schema.json"


def test_it_is_current() -> None:
    """No setting was changed without it."""
    assert json.loads(FILE.read_text(encoding="utf-8")) == {{ cookiecutter.__class }}.config_jsonschema


if __name__ == "__main__":
    text = json.dumps({{ cookiecutter.__class }}.config_jsonschema, indent=4, sort_keys=True)
    FILE.write_text(text + "\n", encoding="utf-8")
