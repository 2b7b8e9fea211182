"""What `GET /event-types` gives."""

from typing import Any, ClassVar

from shared_events.envelope import Contract
from shared_events.requests.base import Kind, Page, Request


class EventType(Contract):
    """An event type customers can subscribe to, with what its `data` looks like."""

    name: str
    version: str
    description: str
    data_schema: dict[str, Any]
    example: dict[str, Any]


class ListEventTypes(Request):
    """The catalogue of event types for webhook subscriptions."""

    key: ClassVar[str] = "gateway.event_type.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[EventType]]] = Page[EventType]
