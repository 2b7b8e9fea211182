"""Which endpoints want an event."""

from collections.abc import Container, Iterable, Mapping
from typing import Any


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether one of the patterns covers the type: `*`, `message.*` or exactly its name."""
    family = event_type.partition(".")[0] + ".*"
    return any(pattern in ("*", family, event_type) for pattern in patterns)


def concerns(asked: Container[str], happened: str | None) -> bool:
    """Whether what happened here, or nowhere of the kind, is for who asked for these; none: all."""
    return not asked or happened is None or happened in asked


def channel_of(data: Mapping[str, Any]) -> str | None:
    """On which channel something happened, as the event says, or what it tells of.

    None for what concerns no channel, or all of them (`all`, of an opt-out).
    """
    named = _named(data, "channel")
    return None if named == "all" else named


def session_of(data: Mapping[str, Any]) -> str | None:
    """In which session something happened, as the event says, or what it tells of."""
    return _named(data, "session")


def _named(data: Mapping[str, Any], thing: str) -> str | None:
    whole = data.get(thing)
    if isinstance(whole, Mapping):
        return str(whole["id"])
    for told in (data, *data.values()):
        if isinstance(told, Mapping) and told.get(f"{thing}_id"):
            return str(told[f"{thing}_id"])
    return None
