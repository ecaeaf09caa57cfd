"""Settings: which there are, and how files and the environment become one config."""
