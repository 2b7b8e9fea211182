"""The feed: what happened, pulled instead of pushed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, field_validator

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Query
from shared_events.webhooks.endpoint import EventPattern


class PublicEvent(Contract):
    """An event, in the envelope in which webhooks carry it."""

    id: UUID
    type: str
    timestamp: datetime
    tenant_id: bounds.TenantId
    data: dict[str, Any]


class EventPage(Contract):
    """Events in the order in which the feed got them. `next_cursor` is always there: ask again."""

    data: list[PublicEvent]
    has_more: bool
    next_cursor: str


class ListEvents(Query[EventPage], key="webhooks.event.list"):
    """What happened after a place in the feed, oldest first, as far as the caller may see it.

    `after` is a `next_cursor`, or the id of an event; without it the feed begins with the oldest
    event that is kept. What was behind a cursor never comes before it. `types` are patterns as
    webhook endpoints have them, repeated or separated by commas. A cursor whose sequel is no longer
    kept is a conflict, `cursor_expired`.
    """

    after: str | None = Field(default=None, max_length=100)
    types: list[EventPattern] = Field(default_factory=list, max_length=100)
    aggregate_id: UUID | None = None
    limit: int = Field(default=50, ge=1, le=100)

    @field_validator("types", mode="before")
    @classmethod
    def _separated(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple):
            return given
        return [
            part for one in given for part in (one.split(",") if isinstance(one, str) else [one])
        ]


class GetEvent(Query[PublicEvent], key="webhooks.event.get"):
    """One event."""

    event_id: UUID
