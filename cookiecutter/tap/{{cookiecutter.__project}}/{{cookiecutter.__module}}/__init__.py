"""A Singer tap for {{ cookiecutter.__title }}."""
