"""Ending and deleting what is old: deliveries, their attempts and bodies, recoveries."""

import asyncio
from typing import NoReturn

from service_kit.database import Database

from crm_webhooks.deliveries.models import LIVE
from crm_webhooks.event_log.retention import OLDEST

_EVERY_SECONDS = 3600.0
_STEP = 5000
_HELD_SECONDS = 7 * 86_400
# Held ones are not for ever: they would flood an endpoint that comes back after months. What is
# owed to a deleted one was stored while it was being deleted.
_EXPIRE = f"""
UPDATE webhook_deliveries SET status = 'cancelled', last_error = 'expired', next_attempt_at = NULL,
    lease_owner = NULL, lease_until = NULL, updated_at = now()
WHERE status NOT IN ('delivered', 'exhausted', 'cancelled') AND id = ANY(ARRAY(
    SELECT d.id FROM webhook_endpoints e
    CROSS JOIN LATERAL (SELECT id FROM webhook_deliveries
        WHERE endpoint_id = e.id AND tenant_id = e.tenant_id AND status IN ('pending', 'retrying')
            AND (e.deleted OR next_attempt_at < now() - make_interval(secs => $1))
        ORDER BY next_attempt_at LIMIT {_STEP}) AS d
    WHERE NOT e.enabled LIMIT {_STEP}))
"""  # noqa: S608
_RECOVERIES = f"""
DELETE FROM webhook_recoveries WHERE id = ANY(ARRAY(SELECT id FROM webhook_recoveries
    WHERE state = 'done' AND updated_at < now() - make_interval(secs => $1) LIMIT {_STEP}))
"""  # noqa: S608
# From one company that has settled deliveries the index leads to the next, for each keeps its own
# for as long as it wants. Attempts go with their delivery.
SETTLED = f"""
WITH RECURSIVE company AS (
    SELECT ''::text AS tenant_id
    UNION ALL
    SELECT next.tenant_id::text FROM company CROSS JOIN LATERAL (
        SELECT d.tenant_id FROM webhook_deliveries d
        WHERE d.tenant_id > company.tenant_id AND NOT ({LIVE})
        ORDER BY d.tenant_id LIMIT 1) AS next
), gone AS (
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
        SELECT old.id FROM (
            SELECT tenant_id, {OLDEST} AS oldest FROM company OFFSET 0) AS kept
        CROSS JOIN LATERAL (
            SELECT id FROM webhook_deliveries
            WHERE tenant_id = kept.tenant_id AND NOT ({LIVE}) AND updated_at < kept.oldest
            ORDER BY updated_at LIMIT {_STEP}) AS old
        LIMIT {_STEP}))
    RETURNING id, tenant_id, event_id
), tried AS (
    DELETE FROM delivery_attempts WHERE delivery_id = ANY(ARRAY(SELECT id FROM gone))
)
SELECT tenant_id, event_id FROM gone
"""  # noqa: S608
# A body goes with the last delivery of it.
_BODIES = """
DELETE FROM webhook_events e USING unnest($1::text[], $2::uuid[]) AS told(tenant_id, event_id)
WHERE e.tenant_id = told.tenant_id AND e.event_id = told.event_id
    AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event_id = e.event_id)
"""


async def purge(database: Database, days: float) -> int:
    """Delete what is older than its company wants it, in small steps; returns how many deliveries.

    `days` is for companies that have set nothing, and for recoveries. First, what disabled
    endpoints were owed for a week is cancelled (`expired`).
    """
    await _in_steps(database, _EXPIRE, _HELD_SECONDS)
    await _in_steps(database, _RECOVERIES, days * 86_400)
    total, deleted = 0, _STEP
    while deleted == _STEP:
        async with database.system("purge") as tx:
            gone = await tx.fetch(SETTLED, days * 86_400)
            told = [row["tenant_id"] for row in gone], [row["event_id"] for row in gone]
            await tx.execute(_BODIES, *told)
        deleted = len(gone)
        total += deleted
    return total


async def _in_steps(database: Database, statement: str, seconds: float) -> None:
    touched = _STEP
    while touched == _STEP:
        async with database.system("purge") as tx:
            touched = await tx.execute(statement, seconds)


async def purge_forever(database: Database, days: float) -> NoReturn:
    """Purge every hour."""
    while True:
        await purge(database, days)
        await asyncio.sleep(_EVERY_SECONDS)
