{% from "settings.jinja" import settings with context %}
{% from "shared/declare.jinja" import properties %}
{% set sink = {"rest": "APISink", "sql": "DatabaseSink", "files": "FolderSink", "other": "DocumentSink"}[cookiecutter.source] %}
{% set base = "SQLTarget" if cookiecutter.source == "sql" else "Target" %}
"""The target: its settings, and what stores a stream."""

from singerkit import {{ base }}
from singerkit import typing as th

from {{ cookiecutter.__module }}.sinks import {{ sink }}


class {{ cookiecutter.__class }}({{ base }}):
    """Loads records into {{ cookiecutter.__title }}."""

    name = "{{ cookiecutter.__project }}"
    default_sink_class = {{ sink }}
    config_jsonschema = th.PropertiesList(
{{ properties(settings) }}    ).to_dict()
