"""Reading and writing channels."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError

_INSERT = """
INSERT INTO channels (id, tenant_id, name, type, status, waha_base_url, waha_session,
    waha_api_key_encrypted, session_timeout_seconds, allow_groups)
VALUES ($1, $2, $3, $4, 'created', $5, $6, $7, $8, $9)
RETURNING *
"""
_UPDATE = """
UPDATE channels SET
    name = $2, waha_base_url = $3, waha_session = $4, waha_api_key_encrypted = $5,
    session_timeout_seconds = $6, allow_groups = $7, version = version + 1, updated_at = now()
WHERE id = $1
RETURNING *
"""
_RUNS_ELSEWHERE = """
SELECT 1 FROM channels
WHERE id <> $1 AND waha_base_url = $2 AND waha_session = $3 AND deleted_at IS NULL
    AND waha_status IS NOT NULL AND waha_status <> 'STOPPED'
"""
_FIND = "SELECT * FROM channels WHERE id = $1 AND deleted_at IS NULL"
_FIND_LOCKED = f"{_FIND} FOR UPDATE"


async def insert(
    tx: Transaction,
    *,
    channel_id: UUID,
    name: str,
    type_: str,
    waha_base_url: str,
    waha_session: str,
    sealed_api_key: str,
    session_timeout_seconds: int,
    allow_groups: bool,
) -> asyncpg.Record:
    """A new channel, not started yet."""
    row = await tx.fetchrow(
        _INSERT,
        channel_id,
        tx.tenant_id,
        name,
        type_,
        waha_base_url,
        waha_session,
        sealed_api_key,
        session_timeout_seconds,
        allow_groups,
    )
    if row is None:
        raise RuntimeError("INSERT returned no row")
    return row


async def update(
    tx: Transaction,
    channel_id: UUID,
    *,
    name: str,
    waha_base_url: str,
    waha_session: str,
    sealed_api_key: str,
    session_timeout_seconds: int,
    allow_groups: bool,
) -> asyncpg.Record:
    """Write all settings of a channel that was found before, and count its version up."""
    row = await tx.fetchrow(
        _UPDATE,
        channel_id,
        name,
        waha_base_url,
        waha_session,
        sealed_api_key,
        session_timeout_seconds,
        allow_groups,
    )
    if row is None:
        raise NotFoundError("channel")
    return row


async def require_own_session(tx: Transaction, row: asyncpg.Record) -> None:
    """Raise ConflictError when another channel of the tenant runs this WAHA session.

    Two would both register their webhook in it, and every message would come twice.
    """
    if await tx.fetchval(_RUNS_ELSEWHERE, row["id"], row["waha_base_url"], row["waha_session"]):
        raise ConflictError("waha_session_taken", "Another channel runs this WAHA session.")


async def find(tx: Transaction, channel_id: UUID, *, lock: bool = False) -> asyncpg.Record:
    """A channel that is not deleted; raises NotFoundError."""
    row = await tx.fetchrow(
        _FIND_LOCKED if lock else _FIND,
        channel_id,
    )
    if row is None:
        raise NotFoundError("channel")
    return row


async def find_many(tx: Transaction, channel_ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Those of the channels that exist and are not deleted."""
    rows = await tx.fetch(
        "SELECT * FROM channels WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL",
        list(channel_ids),
    )
    return {row["id"]: row for row in rows}


async def delete(tx: Transaction, channel_id: UUID) -> None:
    """Mark a channel deleted; its key is forgotten at once."""
    await tx.execute(
        "UPDATE channels SET deleted_at = now(), updated_at = now(), version = version + 1,"
        " waha_api_key_encrypted = '' WHERE id = $1",
        channel_id,
    )


async def begin_again(tx: Transaction, channel_id: UUID) -> asyncpg.Record:
    """Forget what was known of the WAHA session: the channel now names another one."""
    row = await tx.fetchrow(
        "UPDATE channels SET status = 'created', status_reason = NULL, phone = NULL,"
        " engine = NULL, waha_status = NULL, waha_status_at = NULL WHERE id = $1 RETURNING *",
        channel_id,
    )
    if row is None:
        raise NotFoundError("channel")
    return row
