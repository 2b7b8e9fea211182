"""Ending and deleting what is old: deliveries, their attempts and bodies, recoveries."""

import asyncio
from typing import NoReturn

from service_kit.database import Database

_EVERY_SECONDS = 3600.0
_STEP = 5000
_OLD = "now() - make_interval(secs => $1)"
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
_STATEMENTS = (
    f"DELETE FROM webhook_recoveries WHERE id = ANY(ARRAY(SELECT id FROM webhook_recoveries"  # noqa: S608
    f" WHERE state = 'done' AND updated_at < {_OLD} LIMIT {_STEP}))",
    f"DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(SELECT id FROM webhook_deliveries"  # noqa: S608
    f" WHERE NOT (status IN ('pending', 'retrying')) AND updated_at < {_OLD} LIMIT {_STEP}))",
    f"DELETE FROM delivery_attempts WHERE id = ANY(ARRAY(SELECT id FROM delivery_attempts"  # noqa: S608
    f" WHERE started_at < {_OLD} LIMIT {_STEP}))",
    f"DELETE FROM webhook_events WHERE ctid = ANY(ARRAY(SELECT e.ctid FROM webhook_events e"  # noqa: S608
    f" WHERE e.recorded_at < {_OLD} AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d"
    f" WHERE d.event_id = e.event_id) LIMIT {_STEP}))",
)


async def purge(database: Database, days: float) -> int:
    """Delete what is older than `days`, in small steps; returns how many rows.

    First, what disabled endpoints were owed for a week is cancelled (`expired`).
    """
    await _in_steps(database, _EXPIRE, _HELD_SECONDS)
    return sum([await _in_steps(database, one, days * 86_400) for one in _STATEMENTS])


async def _in_steps(database: Database, statement: str, seconds: float) -> int:
    total, touched = 0, _STEP
    while touched == _STEP:
        async with database.system("purge") as tx:
            touched = await tx.execute(statement, seconds)
        total += touched
    return total


async def purge_forever(database: Database, days: float) -> NoReturn:
    """Purge every hour."""
    while True:
        await purge(database, days)
        await asyncio.sleep(_EVERY_SECONDS)
