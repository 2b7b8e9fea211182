"""Reading and writing channels."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rows import Rows

from crm_channels_waha.channels.models import ChannelRow

CHANNELS = Rows(ChannelRow)
_SETTINGS = (
    *("name", "waha_base_url", "waha_session", "waha_api_key_encrypted"),
    *("session_timeout_seconds", "allow_groups", "version", "updated_at"),
)

_RUNS_ELSEWHERE = """
SELECT 1 FROM channels
WHERE id <> $1 AND waha_base_url = $2 AND waha_session = $3 AND deleted_at IS NULL
    AND waha_status IS NOT NULL AND waha_status <> 'STOPPED'
"""
_FIND = "SELECT * FROM channels WHERE id = $1 AND deleted_at IS NULL"
_FIND_LOCKED = f"{_FIND} FOR UPDATE"


async def insert(tx: Transaction, channel: ChannelRow) -> ChannelRow:
    """A new channel, not started yet, with what the database says of it."""
    await CHANNELS.insert(tx, [channel])
    return await find(tx, channel.id)


async def update(tx: Transaction, channel: ChannelRow) -> ChannelRow:
    """Write the settings of a channel that was found before, and count its version up."""
    written = channel.model_copy(
        update={"version": channel.version + 1, "updated_at": datetime.now(UTC)}
    )
    await CHANNELS.update(tx, [written], *_SETTINGS)
    return written


async def require_own_session(tx: Transaction, row: ChannelRow) -> None:
    """Raise ConflictError when another channel of the tenant runs this WAHA session.

    Two would both register their webhook in it, and every message would come twice.
    """
    if await tx.fetchval(_RUNS_ELSEWHERE, row.id, row.waha_base_url, row.waha_session):
        raise ConflictError("waha_session_taken", "Another channel runs this WAHA session.")


async def find(tx: Transaction, channel_id: UUID, *, lock: bool = False) -> ChannelRow:
    """A channel that is not deleted; raises NotFoundError."""
    row = await CHANNELS.first(tx, _FIND_LOCKED if lock else _FIND, channel_id)
    if row is None:
        raise NotFoundError("channel")
    return row


async def find_many(tx: Transaction, channel_ids: Sequence[UUID]) -> dict[UUID, ChannelRow]:
    """Those of the channels that exist and are not deleted."""
    rows = await CHANNELS.find(
        tx,
        "SELECT * FROM channels WHERE id = ANY($1::uuid[]) AND deleted_at IS NULL",
        list(channel_ids),
    )
    return {row.id: row for row in rows}


async def delete(tx: Transaction, channel_id: UUID) -> None:
    """Mark a channel deleted; its key is forgotten at once."""
    await tx.execute(
        "UPDATE channels SET deleted_at = now(), updated_at = now(), version = version + 1,"
        " waha_api_key_encrypted = '' WHERE id = $1",
        channel_id,
    )


async def begin_again(tx: Transaction, channel_id: UUID) -> ChannelRow:
    """Forget what was known of the WAHA session: the channel now names another one."""
    row = await CHANNELS.first(
        tx,
        "UPDATE channels SET status = 'created', status_reason = NULL, phone = NULL,"
        " engine = NULL, waha_status = NULL, waha_status_at = NULL WHERE id = $1 RETURNING *",
        channel_id,
    )
    if row is None:
        raise NotFoundError("channel")
    return row
