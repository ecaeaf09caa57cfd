"""Runs the mapper: `python -m {{ cookiecutter.__module }}`."""

from {{ cookiecutter.__module }}.mapper import {{ cookiecutter.__class }}

{{ cookiecutter.__class }}.cli()
