"""The requests about the feed (`shared_events.webhooks.event`)."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.journeys import Legs
from shared_events.permissions import permits
from shared_events.webhooks.event import (
    EventPage,
    EventWithJourney,
    FollowedPage,
    FollowEvents,
    GetEvent,
    ListEvents,
)
from shared_events.webhooks.journey import ListWebhookLegs

from crm_webhooks.deliveries.matching import wants
from crm_webhooks.deliveries.repository import of_events
from crm_webhooks.endpoints.rules import check_event_types
from crm_webhooks.event_log import feed, journey, legs
from crm_webhooks.event_log.visibility import visible


async def list_events(tx: Transaction, request: ListEvents, call: Call) -> EventPage:
    """What happened after a place, of what the caller wants and may see.

    Raises InvalidError for a type that nobody publishes, and what `feed.page` does.
    """
    return await feed.page(tx, request, _wanted(request.types, call), _own(call))


async def follow(tx: Transaction, request: FollowEvents, call: Call) -> FollowedPage:
    """What has come since, as `list_events` shows it."""
    return await feed.since(tx, request, _wanted(request.types, call), _own(call))


async def get(tx: Transaction, request: GetEvent, call: Call) -> EventWithJourney:
    """One event with its journey; raises NotFoundError, also when the caller may not see it."""
    granted = call.principal.permissions
    event = await feed.event(tx, request.event_id, list(visible(granted)), _own(call))
    may_see = permits(granted, "webhooks.read")
    deliveries = await of_events(tx, request.event_id) if may_see else None
    told = await journey.of_event(tx, request.event_id, deliveries)
    return EventWithJourney(**event.model_dump(), journey=told)


async def list_legs(tx: Transaction, request: ListWebhookLegs, call: Call) -> Legs:
    """What was told of messages; with the deliveries, for who may see those."""
    may_see = permits(call.principal.permissions, "webhooks.read")
    return await legs.of_messages(tx, request.message_ids, with_deliveries=may_see)


def _wanted(patterns: Sequence[str], call: Call) -> list[str]:
    check_event_types(patterns, "types")
    seen = visible(call.principal.permissions)
    return [one for one in seen if wants(patterns or ["*"], one)]


def _own(call: Call) -> UUID | None:
    """The agent that sees only what is its own; None for who sees all."""
    return call.user_id if call.principal.own_only else None
