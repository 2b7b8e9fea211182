"""Who may see which events: those of what they may read."""

from collections.abc import Collection, Iterable

from shared_events.permissions import permits
from shared_events.registry import PUBLIC

_READ_WITH = {
    "call": "sessions.read",
    "conversation": "sessions.read",
    "history": "channels.read",
    "label": "sessions.read",
    "tracking": "contacts.read",
}
"""The permission for events of a noun that has none of its own; otherwise it is `<noun>s.read`."""


def visible(granted: Collection[str]) -> Iterable[str]:
    """The public event types that these permissions let somebody see."""
    for event in PUBLIC:
        noun = event.event_type.partition(".")[0]
        if permits(granted, _READ_WITH.get(noun, f"{noun}s.read")):
            yield event.event_type
