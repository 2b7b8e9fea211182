"""Alerts that no test causes, each with the reason."""

EXCUSED: dict[str, str] = {}
