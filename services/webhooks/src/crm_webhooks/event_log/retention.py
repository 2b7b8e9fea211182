"""Deleting events that are old, and remembering how far each tenant's feed was deleted."""

import asyncio
from typing import NoReturn

from service_kit.database import Database

_EVERY_SECONDS = 3600.0
_STEP = 5000
# Heads are locked in the order of tenants, as by who extends them.
_PURGE = f"""
WITH gone AS (
    DELETE FROM domain_event_log WHERE event_id = ANY(ARRAY(
        SELECT event_id FROM domain_event_log
        WHERE recorded_at < now() - make_interval(secs => $1)
        ORDER BY recorded_at LIMIT {_STEP}))
    RETURNING tenant_id, seq
), last AS (
    SELECT tenant_id, max(seq) AS seq FROM gone GROUP BY tenant_id
), locked AS (
    SELECT tenant_id FROM event_log_heads WHERE tenant_id IN (SELECT tenant_id FROM last)
    ORDER BY tenant_id FOR UPDATE
), marked AS (
    UPDATE event_log_heads AS head SET purged = greatest(head.purged, last.seq)
    FROM last JOIN locked USING (tenant_id) WHERE head.tenant_id = last.tenant_id
)
SELECT count(*) FROM gone
"""  # noqa: S608


async def purge_log(database: Database, days: float) -> int:
    """Delete what was recorded more than `days` ago, in small steps; returns how many events."""
    total, deleted = 0, _STEP
    while deleted == _STEP:
        async with database.system("purge") as tx:
            deleted = await tx.fetchval(_PURGE, days * 86_400)
        total += deleted
    return total


async def purge_forever(database: Database, days: float) -> NoReturn:
    """Purge every hour."""
    while True:
        await purge_log(database, days)
        await asyncio.sleep(_EVERY_SECONDS)
