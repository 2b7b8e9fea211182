"""How an event came about: from event to cause, and on to the endpoints that got it."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events import registry
from shared_events.webhooks.delivery import WebhookDelivery
from shared_events.webhooks.event import Hop, Journey

from crm_webhooks.event_log.models import LoggedEvent

_LOG = Rows(LoggedEvent)
TOLD_BY = {
    event.event_type: registry.publisher_of(event).name for event in registry.BY_TYPE.values()
}
# A chain has four or five hops; the bound is for one that somebody made a circle of. The tenant is
# compared outside of the looks by id: inside, its own index would do as well for the planner.
_CAUSES = """
WITH RECURSIVE chain AS (
    SELECT event_id, causation_id, 1 AS hop FROM domain_event_log
    WHERE event_id = $1 AND tenant_id = $2
    UNION ALL
    SELECT cause.event_id, cause.causation_id, chain.hop + 1 FROM chain
    CROSS JOIN LATERAL (
        SELECT event_id, causation_id, tenant_id FROM domain_event_log
        WHERE event_id = chain.causation_id LIMIT 1) AS cause
    WHERE chain.hop < 20 AND cause.tenant_id = $2
)
SELECT event.* FROM chain CROSS JOIN LATERAL (
    SELECT * FROM domain_event_log WHERE event_id = chain.event_id LIMIT 1
) AS event
WHERE event.tenant_id = $2
ORDER BY chain.hop DESC
"""


async def of_event(
    tx: Transaction, event_id: UUID, deliveries: list[WebhookDelivery] | None
) -> Journey:
    """The way to an event that is in the log, as far back as the log goes."""
    told = await _LOG.find(tx, _CAUSES, event_id, tx.tenant_id)
    first, last = told[0], told[-1]
    return Journey(
        request_id=last.correlation_id,
        trace_id=last.traceparent.split("-")[1] if last.traceparent else None,
        began_with=first.causation_id,
        hops=[
            Hop(
                event_id=one.event_id,
                type=one.event_type,
                service=TOLD_BY.get(one.event_type, "unknown"),
                occurred_at=one.occurred_at,
                recorded_at=one.recorded_at,
            )
            for one in told
        ],
        deliveries=deliveries,
    )
