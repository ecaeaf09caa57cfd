{% if cookiecutter._openapi %}
{{ cookiecutter._openapi }}
{%- else %}
{% include "streams/" ~ cookiecutter.source ~ ".py" %}
{% endif %}
