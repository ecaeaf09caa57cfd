"""Talking to HTTP APIs: functions and values, which know nothing of streams."""
