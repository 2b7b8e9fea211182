"""Deliveries and their attempts as customers see them."""

from uuid import UUID

import asyncpg
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from shared_events.resources import DeliveryAttempt, WebhookDelivery

_LIST = """
SELECT * FROM webhook_deliveries
WHERE endpoint_id = $1 AND tenant_id = $2
    AND ($3::bigint IS NULL OR seq < $3)
    AND ($4::text IS NULL OR status = $4)
    AND ($5::text IS NULL OR event_type = $5)
ORDER BY seq DESC LIMIT $6 OFFSET $7
"""
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


async def of_endpoint(
    tx: Transaction,
    endpoint_id: UUID,
    *,
    before: int | None,
    status: str | None,
    event_type: str | None,
    limit: int,
    offset: int,
) -> list[asyncpg.Record]:
    """Rows of one endpoint's deliveries, newest first."""
    return await tx.fetch(
        _LIST, endpoint_id, tx.tenant_id, before, status, event_type, limit, offset
    )


async def replay(tx: Transaction, original: UUID) -> WebhookDelivery:
    """The same event owed to the same endpoint once more, as a delivery of its own."""
    row = await tx.fetchrow(_REPLAY, original, uuid7())
    if row is None:
        raise NotFoundError("webhook_delivery")
    return delivery(row)
