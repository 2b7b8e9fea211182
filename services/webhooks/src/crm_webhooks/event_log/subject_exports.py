"""What was sent of a person to the company's systems, for the person's archive."""

from urllib.parse import urlsplit
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.webhooks.subject_export import (
    ListSubjectDeliveries,
    SubjectDeliveries,
    SubjectDelivery,
)

from crm_webhooks.deliveries.repository import of_events

_AT_ONCE = 100
_TOLD = """
SELECT e.event_id, e.seq FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (
    SELECT event_id, seq FROM domain_event_log
    WHERE tenant_id = $1 AND aggregate_id = k.id AND seq > $3 ORDER BY seq LIMIT $4) AS e
ORDER BY e.seq LIMIT $4
"""
_ENDPOINTS = "SELECT id, url FROM webhook_endpoints WHERE tenant_id = $1 AND id = ANY($2::uuid[])"


async def list_deliveries(
    tx: Transaction, request: ListSubjectDeliveries, call: Call
) -> SubjectDeliveries:
    """The deliveries of a page of events, in the events' order."""
    del call
    ids = sorted(set(request.aggregate_ids))
    told = await tx.fetch(_TOLD, tx.tenant_id, ids, request.cursor, _AT_ONCE)
    sent = await of_events(tx, *(row["event_id"] for row in told))
    hosts = await _hosts(tx, {one.endpoint_id for one in sent})
    shown = SubjectDelivery.model_fields.keys() - {"endpoint_host"}
    return SubjectDeliveries(
        data=[
            SubjectDelivery(
                **one.model_dump(include=set(shown)), endpoint_host=hosts.get(one.endpoint_id)
            )
            for one in sent
        ],
        next_cursor=told[-1]["seq"] if len(told) == _AT_ONCE else None,
    )


async def _hosts(tx: Transaction, endpoint_ids: set[UUID]) -> dict[UUID, str | None]:
    """Of endpoints that are deleted too, as long as they are on record."""
    rows = await tx.fetch(_ENDPOINTS, tx.tenant_id, list(endpoint_ids))
    return {row["id"]: (urlsplit(row["url"]).hostname or "")[:255] or None for row in rows}
