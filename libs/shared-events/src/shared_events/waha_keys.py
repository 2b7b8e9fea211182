"""The routing keys of WAHA's events, by what the queues that take them are bound to."""

from shared_events.topology import WAHA_MESSAGES, WAHA_NOTICES

_WORDS = frozenset(
    key.partition(".")[0] for queue in (WAHA_MESSAGES, WAHA_NOTICES) for key in queue.keys
)


def waha_key(event_name: str) -> str:
    """The routing key of a WAHA event; a name no queue knows travels as `unknown.<name>`."""
    return event_name if event_name.partition(".")[0] in _WORDS else f"unknown.{event_name}"
