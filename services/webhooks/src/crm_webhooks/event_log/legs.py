"""The event log's and the webhooks' part of journeys (docs/architecture.md, "Journeys")."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.journeys import Leg, Legs, MessageHop, Wait
from shared_events.services import GATEWAY, WEBHOOKS
from shared_events.webhooks.delivery import WebhookDelivery

from crm_webhooks.deliveries.repository import of_events
from crm_webhooks.event_log.journey import TOLD_BY

_SHOWN = """event_id, event_type, occurred_at, recorded_at, correlation_id, causation_id,
        traceparent, payload->>'received_at' AS received_at"""
# What an event said may be long and stays where it is. What channels tell does not name the
# message: it is known by what followed from it. Whose a cause is, is looked at outside its LIMIT:
# no index by tenant can then take the place of the primary key.
_TOLD = f"""
WITH told AS (
    SELECT event.* FROM unnest($1::uuid[]) AS wanted(message_id)
    CROSS JOIN LATERAL (
        SELECT {_SHOWN}, tenant_id, message_id FROM domain_event_log
        WHERE tenant_id = $2 AND message_id = wanted.message_id
        ORDER BY seq LIMIT 100) AS event
)
SELECT * FROM told
UNION
SELECT cause.*, told.message_id FROM told
CROSS JOIN LATERAL (
    SELECT {_SHOWN}, tenant_id FROM domain_event_log
    WHERE event_id = told.causation_id AND message_id IS NULL LIMIT 1) AS cause
WHERE cause.tenant_id = $2
"""  # noqa: S608 - names of our own columns
_OWED = ("pending", "retrying")


@dataclass(frozen=True, slots=True)
class _Told:
    event_id: UUID
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str | None
    causation_id: UUID | None
    traceparent: str | None
    received_at: str | None
    message_id: UUID


_EVENTS = Shape(_Told)


async def of_messages(
    tx: Transaction, message_ids: Sequence[UUID], *, with_deliveries: bool
) -> Legs:
    """What was told of each message and, if they are wanted, the deliveries of that.

    What the log got before it knew of messages is not found.
    """
    told = await _EVENTS.find(tx, _TOLD, message_ids, tx.tenant_id)
    owed: defaultdict[UUID, list[WebhookDelivery]] = defaultdict(list)
    if with_deliveries:
        for one in await of_events(tx, *{event.event_id for event in told}):
            owed[one.event_id].append(one)
    legs: defaultdict[UUID, list[_Told]] = defaultdict(list)
    for event in told:
        legs[event.message_id].append(event)
    return Legs(data=[_leg(message_id, events, owed) for message_id, events in legs.items()])


def _leg(
    message_id: UUID, events: Sequence[_Told], owed: Mapping[UUID, list[WebhookDelivery]]
) -> Leg:
    deliveries = [one for event in events for one in owed.get(event.event_id, ())]
    waiting = [one for one in deliveries if one.status in _OWED]
    first = min(waiting, key=lambda one: one.created_at, default=None)
    hops = [hop for event in events for hop in _hops(event)]
    return Leg(
        message_id=message_id,
        hops=[*hops, *(_delivery(one) for one in deliveries)],
        waiting_for=first and _wait(first),
    )


def _hops(event: _Told) -> Iterator[MessageHop]:
    """The event, and before a message that WAHA brought, its coming in."""
    if event.event_type == ChannelMessageReceived.event_type:
        yield MessageHop(
            service=GATEWAY.name,
            what="ingress",
            at=event.received_at and datetime.fromisoformat(event.received_at),
            detail={"ingress_id": event.causation_id},
        )
    yield MessageHop(
        service=TOLD_BY.get(event.event_type, "unknown"),
        what=event.event_type,
        at=event.occurred_at,
        detail={
            "event_id": event.event_id,
            "recorded_at": event.recorded_at,
            "request_id": event.correlation_id,
            "trace_id": event.traceparent and event.traceparent.split("-")[1],
        },
    )


def _delivery(one: WebhookDelivery) -> MessageHop:
    """A delivery with its attempts; what a receiver answered is not for everybody to read."""
    shown = {"endpoint_id", "event_id", "event_type", "status", "next_attempt_at", "last_error"}
    tried = {"number", "started_at", "duration_ms", "status_code", "error"}
    return MessageHop(
        service=WEBHOOKS.name,
        what="delivery",
        at=one.created_at,
        detail={
            "delivery_id": one.id,
            **one.model_dump(include=shown),
            "updated_at": one.updated_at,
            "attempts": [attempt.model_dump(include=tried) for attempt in one.attempt_log or ()],
        },
    )


def _wait(one: WebhookDelivery) -> Wait:
    return Wait(
        service=WEBHOOKS.name,
        what="delivery",
        since=one.created_at,
        next_at=one.next_attempt_at,
        reason=one.last_error,
    )
