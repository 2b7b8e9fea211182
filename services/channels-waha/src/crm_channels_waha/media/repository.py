"""Reading and writing files' rows."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.media.models import MediaRow

MEDIA = Rows(MediaRow)
WAKE = "channels_waha_media"
"""Notified when there is something to fetch."""

# Each server's own share, so that those that wait for one take nobody else's turn. The newest comes
# first: it is the one whose link lives. What is pending is never read as a whole: servers are
# stepped through (https://wiki.postgresql.org/wiki/Loose_indexscan), each from its newest on.
# Claimed by moving `next_at`: who dies fetching costs a lease, nothing else.
_CLAIM = """
WITH RECURSIVE servers AS (
    (SELECT server FROM media WHERE state = 'pending' ORDER BY server LIMIT 1)
    UNION ALL
    SELECT (SELECT server FROM media WHERE state = 'pending' AND server > servers.server
        ORDER BY server LIMIT 1)
    FROM servers WHERE server IS NOT NULL),
chosen AS MATERIALIZED (
    SELECT due.id, due.tenant_id FROM servers
    LEFT JOIN unnest($1::text[], $2::int[]) AS busy(server, taken) USING (server)
    CROSS JOIN LATERAL (
        SELECT id, tenant_id, created_at FROM media
        WHERE state = 'pending' AND server = servers.server AND next_at <= now()
        ORDER BY created_at DESC
        LIMIT greatest($3 - coalesce(busy.taken, 0), 0) FOR UPDATE SKIP LOCKED) AS due
    ORDER BY due.created_at DESC LIMIT $4)
UPDATE media SET attempts = attempts + 1, next_at = now() + make_interval(secs => $5)
FROM chosen WHERE media.id = chosen.id AND media.tenant_id = chosen.tenant_id
RETURNING media.*
"""
_KEPT = """
SELECT EXISTS (SELECT 1 FROM media WHERE tenant_id = $1 AND sha256 = $2 AND id <> $3)
"""
_FIND = "SELECT * FROM media WHERE tenant_id = $1 AND id = $2"
_AGAIN = """
UPDATE media SET next_at = now() + make_interval(secs => $3), reason = $4, updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND state = 'pending'
"""
_STORED = """
UPDATE media SET state = 'stored', reason = NULL, mime_type = $3, size = $4, sha256 = $5,
    updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND state = 'pending'
"""
_FAILED = """
UPDATE media SET state = 'failed', reason = $3, updated_at = now()
WHERE tenant_id = $1 AND id = $2 AND state = 'pending'
"""


async def enter(tx: Transaction, rows: Sequence[MediaRow]) -> None:
    """Files to fetch, each once however often its message is told."""
    if rows and await MEDIA.insert(tx, sorted(rows, key=lambda r: r.id), unless="(id)"):
        await tx.execute("SELECT pg_notify($1, '')", WAKE)


async def claim(
    tx: Transaction,
    busy: Mapping[str, int],
    *,
    per_server: int,
    limit: int,
    lease_seconds: float,
) -> list[MediaRow]:
    """What to fetch now. `busy` says how much is being fetched of each server already."""
    return await MEDIA.find(
        tx,
        _CLAIM,
        list(busy),
        list(busy.values()),
        per_server,
        limit,
        lease_seconds,
    )


async def find(tx: Transaction, media_id: UUID) -> MediaRow | None:
    """A file of the transaction's tenant."""
    return await MEDIA.first(tx, _FIND, tx.tenant_id, media_id)


async def is_kept(tx: Transaction, sha256: str, *, but: UUID) -> bool:
    """Whether another file of the transaction's tenant has this content."""
    kept: bool = await tx.fetchval(_KEPT, tx.tenant_id, sha256, but)
    return kept


async def remove(tx: Transaction, media_id: UUID) -> int:
    """Forget a file; how many those were."""
    return await tx.execute(
        "DELETE FROM media WHERE tenant_id = $1 AND id = $2", tx.tenant_id, media_id
    )


async def try_again(tx: Transaction, media_id: UUID, pause_seconds: float, reason: str) -> None:
    """Fetch it later."""
    await tx.execute(_AGAIN, tx.tenant_id, media_id, pause_seconds, reason)


async def mark_stored(
    tx: Transaction, media_id: UUID, mime_type: str, size: int, sha256: str
) -> bool:
    """It is in the store; False when that was known already."""
    return await tx.execute(_STORED, tx.tenant_id, media_id, mime_type, size, sha256) == 1


async def mark_failed(tx: Transaction, media_id: UUID, reason: str) -> bool:
    """It cannot be had; False when it was settled already."""
    return await tx.execute(_FAILED, tx.tenant_id, media_id, reason) == 1
