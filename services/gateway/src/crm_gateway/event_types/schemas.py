"""What `GET /event-types` gives."""

from typing import Any

from shared_events.envelope import Contract
from shared_events.requests import Page, Query


class EventType(Contract):
    """An event type customers can subscribe to, with what its `data` looks like."""

    name: str
    version: str
    description: str
    data_schema: dict[str, Any]
    example: dict[str, Any]


class ListEventTypes(Query[Page[EventType]], key="gateway.event_type.list"):
    """The catalogue of event types for webhook subscriptions."""
