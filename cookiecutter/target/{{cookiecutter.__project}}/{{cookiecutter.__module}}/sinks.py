{% include "sinks/" ~ cookiecutter.source ~ ".py" %}
