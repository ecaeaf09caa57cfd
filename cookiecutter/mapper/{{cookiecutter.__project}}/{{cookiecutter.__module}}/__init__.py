"""A Singer mapper: {{ cookiecutter.__title }}."""
