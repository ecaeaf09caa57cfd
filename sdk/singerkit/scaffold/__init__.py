"""New connectors: the questions, the templates, and what an OpenAPI document answers by itself."""
