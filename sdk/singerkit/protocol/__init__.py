"""The Singer protocol: messages, their encoding, reading, writing, and the catalog."""
