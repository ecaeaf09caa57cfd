{% include "tests/" ~ cookiecutter.source ~ ".py" %}
