{% include "tests/" ~ ("openapi" if cookiecutter._openapi else "web" if cookiecutter.__web else cookiecutter.source) ~ ".py" %}
