"""The feed: what happened, pulled page by page or followed as it grows."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Query
from shared_events.webhooks.delivery import WebhookDelivery
from shared_events.webhooks.endpoint import EventPattern

Cursor = Annotated[str, StringConstraints(max_length=100)]
"""A place in a company's feed, or the id of the event there."""


def _separated(given: Any) -> Any:
    if not isinstance(given, list | tuple):
        return given
    return [part for one in given for part in (one.split(",") if isinstance(one, str) else [one])]


EventPatterns = Annotated[list[EventPattern], BeforeValidator(_separated)]
"""Patterns as webhook endpoints have them, repeated or separated by commas."""


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

    after: Cursor | None = None
    types: EventPatterns = Field(default_factory=list, max_length=100)
    aggregate_id: UUID | None = None
    limit: int = Field(default=50, ge=1, le=100)


class PlacedEvent(Contract):
    """An event, and the cursor behind it."""

    cursor: Cursor
    event: PublicEvent


class FollowedPage(Contract):
    """What a feed has got since. `next_cursor` is always there: ask again when it has grown."""

    data: list[PlacedEvent]
    has_more: bool
    next_cursor: Cursor


class FollowEvents(Query[FollowedPage], key="webhooks.event.follow"):
    """What happens, as it happens: server-sent events, as far as the caller may see them.

    `id` is a cursor of the feed, `data` an event in the envelope in which webhooks carry it; every
    15 seconds there is a comment. `Last-Event-ID` (which browsers send by themselves), or else
    `after`, says where to go on, as in the feed, and nothing is missed in between; without either
    the stream begins now. It closes with the event `end`, whose data says why in `code`: when the
    login has ended (log in again) or the server is replaced (come back at once, nothing is lost).
    """

    after: Cursor | None = None
    types: EventPatterns = Field(default_factory=list, max_length=100)


class Hop(Contract):
    """An event on the way: which service told it, when it happened, and when the log had it."""

    event_id: UUID
    type: str
    service: bounds.Word
    occurred_at: datetime
    recorded_at: datetime


class Journey(Contract):
    """How an event came about and where it went.

    `hops` are the events that led to it, oldest first, and itself; `began_with` is what the first
    of them followed from: the webhook that WAHA brought, or nothing. `request_id` and `trace_id`
    are those of the request it all began with. `deliveries`, with their attempts, are shown to who
    may read webhooks. What was told before there were journeys has one hop.
    """

    request_id: bounds.CorrelationId | None = None
    trace_id: bounds.Word | None = None
    began_with: UUID | None = None
    hops: list[Hop]
    deliveries: list[WebhookDelivery] | None = None


class EventWithJourney(PublicEvent):
    """An event, in the envelope in which webhooks carry it, with its journey."""

    journey: Journey | None = None


class GetEvent(Query[EventWithJourney], key="webhooks.event.get"):
    """One event: what caused it, hop by hop, and whom it was delivered to."""

    event_id: UUID
