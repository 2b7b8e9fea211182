"""Deliveries and their attempts as customers see them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.requests import Page
from shared_events.webhooks.delivery import DeliveryAttempt, ListDeliveries, WebhookDelivery
from sqlalchemy import BindParameter, bindparam, select

from crm_webhooks.deliveries import models

_DELIVERIES = Rows(models.Delivery)
_EVENTS = Rows(models.OutboundEvent)
_ATTEMPTS = Rows(models.Attempt)
_C = _DELIVERIES.table.c
_NEWEST_FIRST = Order(
    "deliveries",
    [(_C.seq, Annotated[int, Field(ge=0, lt=2**63)])],
    tenant=_C.tenant_id,
    descending=True,
)
_OF_EVENTS = """
SELECT newest.* FROM unnest($1::uuid[]) AS wanted(event_id)
CROSS JOIN LATERAL (
    SELECT * FROM webhook_deliveries WHERE event_id = wanted.event_id AND tenant_id = $2
    ORDER BY seq DESC LIMIT 100) AS newest
ORDER BY newest.seq
"""
_ATTEMPTS_OF = """
SELECT attempt.* FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted(delivery_id, place)
CROSS JOIN LATERAL (
    SELECT * FROM delivery_attempts WHERE delivery_id = wanted.delivery_id AND tenant_id = $2
    ORDER BY id LIMIT 100) AS attempt
ORDER BY wanted.place, attempt.id
"""
_REPLAY = """
INSERT INTO webhook_deliveries
    (id, tenant_id, event_id, event_type, endpoint_id, ordering_key, trigger, replay_no)
SELECT $2, d.tenant_id, d.event_id, d.event_type, d.endpoint_id, d.ordering_key, 'redelivery',
    1 + (SELECT max(r.replay_no) FROM webhook_deliveries r
         WHERE r.event_id = d.event_id AND r.endpoint_id = d.endpoint_id)
FROM webhook_deliveries d WHERE d.id = $1
RETURNING *
"""


def delivery(row: models.Delivery) -> WebhookDelivery:
    """A row as customers see it; nothing further is due once it is settled."""
    return WebhookDelivery.model_validate(row, from_attributes=True)


async def get(tx: Transaction, delivery_id: UUID) -> WebhookDelivery:
    """One delivery; raises NotFoundError."""
    row = await _DELIVERIES.first(
        tx,
        "SELECT * FROM webhook_deliveries WHERE id = $1 AND tenant_id = $2",
        delivery_id,
        tx.tenant_id,
    )
    if row is None:
        raise NotFoundError("webhook_delivery")
    return delivery(row)


async def attempts(tx: Transaction, delivery_id: UUID) -> list[DeliveryAttempt]:
    """Its attempts, in order."""
    rows = await _ATTEMPTS.find(
        tx, "SELECT * FROM delivery_attempts WHERE delivery_id = $1 ORDER BY id", delivery_id
    )
    return [DeliveryAttempt.model_validate(row, from_attributes=True) for row in rows]


async def of_events(tx: Transaction, *event_ids: UUID) -> list[WebhookDelivery]:
    """The newest deliveries of each event, all of them oldest first, each with its attempts."""
    rows = await _DELIVERIES.find(tx, _OF_EVENTS, event_ids, tx.tenant_id)
    tried: dict[UUID, list[DeliveryAttempt]] = {row.id: [] for row in rows}
    for one in await _ATTEMPTS.find(tx, _ATTEMPTS_OF, list(tried), tx.tenant_id):
        shown = DeliveryAttempt.model_validate(one, from_attributes=True)
        tried[one.delivery_id].append(shown)
    return [delivery(row).model_copy(update={"attempt_log": tried[row.id]}) for row in rows]


async def page(tx: Transaction, request: ListDeliveries) -> Page[WebhookDelivery]:
    """What is or was owed to one endpoint, newest first; raises MalformedError."""
    query = select(models.Delivery).where(_C.endpoint_id == request.endpoint_id)
    if request.status is not None:
        # Written out: a plan for whatever status it may be has no use for an index of a few.
        status: BindParameter[str] = bindparam("status", request.status, literal_execute=True)
        query = query.where(_C.status == status)
    if request.event_type is not None:
        query = query.where(_C.event_type == request.event_type)
    if request.created_at_gte is not None:
        query = query.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        query = query.where(_C.created_at < request.created_at_lt)
    return await _NEWEST_FIRST.page(tx, query, request, _DELIVERIES, delivery)


async def owe_test(
    tx: Transaction, endpoint_id: UUID, event: models.OutboundEvent
) -> WebhookDelivery:
    """An event that one endpoint alone is owed, whatever it asks for; it waits for no other."""
    await _EVENTS.insert(tx, [event])
    owed = models.Delivery(
        id=uuid7(),
        tenant_id=event.tenant_id,
        event_id=event.event_id,
        event_type=event.event_type,
        endpoint_id=endpoint_id,
        ordering_key=event.event_id,
        trigger="test",
    )
    await _DELIVERIES.insert(tx, [owed])
    return await get(tx, owed.id)


async def replay(tx: Transaction, original: UUID) -> WebhookDelivery:
    """The same event owed to the same endpoint once more, as a delivery of its own."""
    row = await _DELIVERIES.first(tx, _REPLAY, original, uuid7())
    if row is None:
        raise NotFoundError("webhook_delivery")
    return delivery(row)
