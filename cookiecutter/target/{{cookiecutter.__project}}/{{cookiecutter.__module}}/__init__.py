"""A Singer target for {{ cookiecutter.__title }}."""
