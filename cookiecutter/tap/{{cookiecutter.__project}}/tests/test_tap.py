{% include "tests/" ~ ("web" if cookiecutter.__web else cookiecutter.source) ~ ".py" %}
