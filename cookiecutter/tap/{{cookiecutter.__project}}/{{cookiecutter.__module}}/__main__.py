"""Runs the tap: `python -m {{ cookiecutter.__module }}`."""

from {{ cookiecutter.__module }}.tap import {{ cookiecutter.__class }}

{{ cookiecutter.__class }}.cli()
