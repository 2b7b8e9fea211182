"""Who alone sends to an endpoint that wants only so many requests at a time.

What is in flight is counted in memory, so one process has all of it: the one that claimed last.
Ownership lapses with the leases it came with, by when no attempt of theirs is in flight any more;
who stops gives it up.
"""

from collections.abc import Collection
from uuid import UUID

import asyncpg
from service_kit.database import Transaction

CHANNEL = "webhook_due"
"""NOTIFY channel: something is due that another process may have to send."""

# Of an endpoint `e` and the claimer `$1`.
OURS = """
NOT EXISTS (SELECT FROM lane_owners o
    WHERE o.endpoint_id = e.id AND o.owner <> $1 AND o.until > now())
"""
_TAKE = """
INSERT INTO lane_owners (endpoint_id, tenant_id, owner, until)
SELECT e.id, e.tenant_id, $2, now() + make_interval(secs => $3)
FROM webhook_endpoints e WHERE e.id = ANY($1::uuid[])
ON CONFLICT (endpoint_id) DO UPDATE SET owner = excluded.owner, until = excluded.until
"""
_TELL = "SELECT pg_notify($1, id::text) FROM unnest($2::uuid[]) AS id"


async def take(
    connection: asyncpg.Connection, endpoint_ids: Collection[UUID], owner: UUID, seconds: float
) -> None:
    """Own these for as long as what was claimed of them, in the transaction of the leases."""
    await connection.execute(_TAKE, list(endpoint_ids), owner, seconds)


async def give_up(tx: Transaction, owner: UUID) -> None:
    """Let others have all that this process owned, and know."""
    rows = await tx.fetch("DELETE FROM lane_owners WHERE owner = $1 RETURNING endpoint_id", owner)
    await tell(tx, [row["endpoint_id"] for row in rows])


async def tell(tx: Transaction, endpoint_ids: Collection[UUID]) -> None:
    """Let whoever owns these know, at the commit, that there is more for them."""
    if endpoint_ids:
        await tx.execute(_TELL, CHANNEL, list(endpoint_ids))
