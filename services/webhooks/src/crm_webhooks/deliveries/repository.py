"""Deliveries and their attempts as customers see them."""

from typing import Annotated
from uuid import UUID

import asyncpg
from pydantic import Field
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.paging import Order
from shared_events.requests import Page
from shared_events.webhooks.delivery import DeliveryAttempt, ListDeliveries, WebhookDelivery
from sqlalchemy import select

from crm_webhooks.deliveries.models import TABLE

_NEWEST_FIRST = Order(
    "deliveries",
    [(TABLE.c.seq, Annotated[int, Field(ge=0, lt=2**63)])],
    tenant=TABLE.c.tenant_id,
    descending=True,
)
_REPLAY = """
INSERT INTO webhook_deliveries
    (id, tenant_id, event_id, event_type, endpoint_id, ordering_key, replay_no)
SELECT $2, d.tenant_id, d.event_id, d.event_type, d.endpoint_id, d.ordering_key,
    1 + (SELECT max(r.replay_no) FROM webhook_deliveries r
         WHERE r.event_id = d.event_id AND r.endpoint_id = d.endpoint_id)
FROM webhook_deliveries d WHERE d.id = $1
RETURNING *
"""


def delivery(row: asyncpg.Record) -> WebhookDelivery:
    """A row as customers see it; nothing further is due once it is settled."""
    return WebhookDelivery.model_validate(dict(row))


async def get(tx: Transaction, delivery_id: UUID) -> WebhookDelivery:
    """One delivery; raises NotFoundError."""
    row = await tx.fetchrow(
        "SELECT * FROM webhook_deliveries WHERE id = $1 AND tenant_id = $2",
        delivery_id,
        tx.tenant_id,
    )
    if row is None:
        raise NotFoundError("webhook_delivery")
    return delivery(row)


async def attempts(tx: Transaction, delivery_id: UUID) -> list[DeliveryAttempt]:
    """Its attempts, in order."""
    rows = await tx.fetch(
        "SELECT * FROM delivery_attempts WHERE delivery_id = $1 ORDER BY id", delivery_id
    )
    return [DeliveryAttempt.model_validate(dict(row)) for row in rows]


async def page(tx: Transaction, request: ListDeliveries) -> Page[WebhookDelivery]:
    """What is or was owed to one endpoint, newest first; raises MalformedError."""
    query = select(TABLE).where(TABLE.c.endpoint_id == request.endpoint_id)
    if request.status is not None:
        query = query.where(TABLE.c.status == request.status)
    if request.event_type is not None:
        query = query.where(TABLE.c.event_type == request.event_type)
    return await _NEWEST_FIRST.page(tx, query, request, delivery)


async def replay(tx: Transaction, original: UUID) -> WebhookDelivery:
    """The same event owed to the same endpoint once more, as a delivery of its own."""
    row = await tx.fetchrow(_REPLAY, original, uuid7())
    if row is None:
        raise NotFoundError("webhook_delivery")
    return delivery(row)
