"""Files: what they are called, where they are, how they are written."""
