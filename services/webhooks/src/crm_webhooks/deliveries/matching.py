"""Which endpoints want an event."""

from collections.abc import Iterable


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether one of the patterns covers the type: `*`, `message.*` or exactly its name."""
    family = event_type.partition(".")[0] + ".*"
    return any(pattern in ("*", family, event_type) for pattern in patterns)
