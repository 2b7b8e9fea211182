"""Deleting what is old: settled deliveries, their attempts and bodies, and the event log."""

import asyncio
from typing import NoReturn

from service_kit.database import Database

_EVERY_SECONDS = 3600.0
_STEP = 5000
_OLD = "now() - make_interval(secs => $1)"
_STATEMENTS = (
    f"DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries"  # noqa: S608
    f" WHERE NOT (status IN ('pending', 'retrying')) AND updated_at < {_OLD} LIMIT {_STEP}))",
    f"DELETE FROM delivery_attempts WHERE id = ANY(ARRAY(SELECT id FROM delivery_attempts"  # noqa: S608
    f" WHERE started_at < {_OLD} LIMIT {_STEP}))",
    f"DELETE FROM webhook_events WHERE ctid = ANY(ARRAY(SELECT e.ctid FROM webhook_events e"  # noqa: S608
    f" WHERE e.recorded_at < {_OLD} AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d"
    f" WHERE d.event_id = e.event_id) LIMIT {_STEP}))",
    f"DELETE FROM domain_event_log WHERE event_id = ANY(ARRAY(SELECT event_id FROM domain_event_log"  # noqa: S608
    f" WHERE recorded_at < {_OLD} LIMIT {_STEP}))",
)


async def purge(database: Database, days: float) -> int:
    """Delete what is older than `days`, in small steps; returns how many rows."""
    total = 0
    for statement in _STATEMENTS:
        while True:
            async with database.system("purge") as tx:
                deleted = await tx.execute(statement, days * 86_400)
            total += deleted
            if deleted < _STEP:
                break
    return total


async def purge_forever(database: Database, days: float) -> NoReturn:
    """Purge every hour."""
    while True:
        await purge(database, days)
        await asyncio.sleep(_EVERY_SECONDS)
