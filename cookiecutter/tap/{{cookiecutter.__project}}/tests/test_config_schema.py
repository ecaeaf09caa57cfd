{% include "shared/test_config_schema.jinja" %}
