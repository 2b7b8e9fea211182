"""Deleting events that are old, and remembering how far each tenant's feed was deleted.

How old they grow is the company's own setting, or else the installation's.
"""

import asyncio
from collections.abc import Iterable
from typing import NoReturn

from service_kit.database import Database, Transaction
from service_kit.rows import Rows
from shared_events.gateway.company import SettingsUpdated

from crm_webhooks.event_log.models import LoggedEvent, Retention

_EVERY_SECONDS = 3600.0
_STEP = 5000
_RETENTIONS = Rows(Retention)
OLDEST = """now() - make_interval(secs => coalesce((
    SELECT days * 86400::float8 FROM event_retentions WHERE tenant_id = company.tenant_id), $1))"""
"""SQL: from when on a `company` has its events kept; `$1`: seconds, for those that set nothing.

To be counted before events are looked for (`OFFSET 0`): row-level security lets an index be asked
by nothing but plain comparisons.
"""
# Company by company, for each keeps its events for as long as it wants. An event happened before it
# was recorded, so the index that knows when leads to all that are old. Heads are locked in the
# order of tenants, as by who extends them.
PURGE = f"""
WITH gone AS (
    DELETE FROM domain_event_log WHERE event_id = ANY(ARRAY(
        SELECT old.event_id FROM (
            SELECT tenant_id, {OLDEST} AS oldest FROM event_log_heads AS company OFFSET 0) AS kept
        CROSS JOIN LATERAL (
            SELECT event_id FROM domain_event_log
            WHERE tenant_id = kept.tenant_id
                AND occurred_at < kept.oldest AND recorded_at < kept.oldest
            ORDER BY occurred_at LIMIT {_STEP}) AS old
        LIMIT {_STEP}))
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


async def follow(tx: Transaction, events: Iterable[LoggedEvent]) -> None:
    """Note what companies' settings, as these events tell them, say of it; the newest counts.

    Settings of a gateway that does not know of it change nothing.
    """
    newest: dict[str, Retention] = {}
    for event in events:
        if event.event_type != SettingsUpdated.event_type:
            continue
        settings = event.payload.get("settings", {})
        if "event_retention_days" not in settings:
            continue
        told = SettingsUpdated.model_validate(event.payload).settings
        known = newest.get(event.tenant_id)
        if known is None or known.version < told.version:
            newest[event.tenant_id] = Retention(
                tenant_id=event.tenant_id, days=told.event_retention_days, version=told.version
            )
    if newest:
        await _RETENTIONS.upsert(tx, newest.values(), newest="version")


async def purge_log(database: Database, days: float) -> int:
    """Delete what is older than its company wants it, in small steps; returns how many events.

    `days` is for companies that have set nothing.
    """
    total, deleted = 0, _STEP
    while deleted == _STEP:
        async with database.system("purge") as tx:
            deleted = await tx.fetchval(PURGE, days * 86_400)
        total += deleted
    return total


async def purge_forever(database: Database, days: float) -> NoReturn:
    """Purge every hour."""
    while True:
        await purge_log(database, days)
        await asyncio.sleep(_EVERY_SECONDS)
