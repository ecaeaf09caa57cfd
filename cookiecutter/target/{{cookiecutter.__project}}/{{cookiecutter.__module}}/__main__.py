"""Runs the target: `python -m {{ cookiecutter.__module }}`."""

from {{ cookiecutter.__module }}.target import {{ cookiecutter.__class }}

{{ cookiecutter.__class }}.cli()
