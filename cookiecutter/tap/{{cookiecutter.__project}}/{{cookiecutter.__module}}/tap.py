{% from "settings.jinja" import settings with context %}
{% from "shared/declare.jinja" import properties %}
{% set streams = {"rest": "Customers, Orders", "graphql": "Customers, Orders", "files": "Measurements", "other": "Readings", "sql": "DatabaseStream"}[cookiecutter.source] if not cookiecutter._openapi else "STREAMS" %}
"""The tap: its settings and its streams."""

{% if cookiecutter.source == "sql" %}
from singerkit import SQLTap
from singerkit import typing as th

from {{ cookiecutter.__module }}.streams import {{ streams }}


class {{ cookiecutter.__class }}(SQLTap):
    """Reads the database of {{ cookiecutter.__title }}: a stream for each table and view."""

    name = "{{ cookiecutter.__project }}"
    default_stream_class = {{ streams }}
{% else %}
from collections.abc import Sequence

from singerkit import Stream, Tap
from singerkit import typing as th

from {{ cookiecutter.__module }}.streams import {{ streams }}


class {{ cookiecutter.__class }}(Tap):
    """Reads {{ cookiecutter.__title }}."""

    name = "{{ cookiecutter.__project }}"
{% endif %}
    config_jsonschema = th.PropertiesList(
{{ properties(settings) }}    ).to_dict()
{% if cookiecutter.source != "sql" %}

    def discover_streams(self) -> Sequence[Stream]:
        """Give every stream that there is."""
{% if cookiecutter._openapi %}
        return [stream(self) for stream in STREAMS]
{% else %}
        return [{% for stream in streams.split(", ") %}{{ stream }}(self){{ ", " if not loop.last }}{% endfor %}]
{% endif %}
{% endif %}
