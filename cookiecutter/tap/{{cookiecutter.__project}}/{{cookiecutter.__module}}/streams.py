{% include "streams/" ~ cookiecutter.source ~ ".py" %}
