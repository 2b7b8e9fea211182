"""Which endpoints want an event."""

from collections.abc import Container, Iterable, Mapping
from typing import Any


def wants(patterns: Iterable[str], event_type: str) -> bool:
    """Whether one of the patterns covers the type: `*`, `message.*` or exactly its name."""
    family = event_type.partition(".")[0] + ".*"
    return any(pattern in ("*", family, event_type) for pattern in patterns)


def concerns(channel_ids: Container[str], channel_id: str | None) -> bool:
    """Whether what happened on this channel, or on none, is for who asked for these; none: all."""
    return not channel_ids or channel_id is None or channel_id in channel_ids


def channel_of(data: Mapping[str, Any]) -> str | None:
    """On which channel something happened, as the event says, or what it tells of.

    None for what concerns no channel, or all of them (`all`, of an opt-out).
    """
    channel = data.get("channel")
    if isinstance(channel, Mapping):
        return str(channel["id"])
    for told in (data, *data.values()):
        if isinstance(told, Mapping) and told.get("channel_id"):
            named = str(told["channel_id"])
            return None if named == "all" else named
    return None
