"""JSON Schema: reading, references, sources."""
