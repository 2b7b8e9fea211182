"""Reading and writing channels."""

from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError
from service_kit.rows import Rows

from crm_channels_waha.channels.models import ChannelRow

CHANNELS = Rows(ChannelRow)
_SETTINGS = (
    *("name", "waha_base_url", "waha_session", "waha_api_key_encrypted"),
    *("session_timeout_seconds", "allow_groups", "send_seen", "link_previews"),
    *("simulate_typing", "reject_calls", "quiet_hours", "warm_up", "version", "updated_at"),
)

_RUNS_ELSEWHERE = """
SELECT 1 FROM channels
WHERE id <> $1 AND waha_base_url = $2 AND waha_session = $3 AND deleted_at IS NULL
    AND waha_status IS NOT NULL AND waha_status <> 'STOPPED'
"""
# By the key alone, and whether it is deleted is looked at afterwards: in a table that has no
# statistics yet, an index of what is not deleted seems as good as the key's, and is read from end
# to end.
_FIND = "SELECT * FROM channels WHERE tenant_id = $1 AND id = $2"
# The one row that a sender's bulk is counted in: who sends for the channel alone writes it.
_COUNT_BULK = """
UPDATE channels SET bulk_day = (now() AT TIME ZONE 'UTC')::date, bulk_sent = 1 + CASE
    WHEN bulk_day = (now() AT TIME ZONE 'UTC')::date THEN bulk_sent ELSE 0 END
WHERE tenant_id = $1 AND id = $2
"""
_DISCOUNT_BULK = """
UPDATE channels SET bulk_sent = greatest(bulk_sent - 1, 0)
WHERE tenant_id = $1 AND id = $2 AND bulk_day = (now() AT TIME ZONE 'UTC')::date
"""
_REGISTERED = """
SELECT * FROM channels WHERE deleted_at IS NULL AND waha_status IS NOT NULL ORDER BY id
"""
_FIND_LOCKED = f"{_FIND} FOR UPDATE"

ChannelKey = tuple[str, UUID]
"""Tenant and id: what is told of a channel is true of that company's alone."""


async def insert(tx: Transaction, channel: ChannelRow) -> ChannelRow:
    """A new channel, not started yet, with what the database says of it."""
    await CHANNELS.insert(tx, [channel])
    return await find(tx, channel.id)


async def registered(tx: Transaction) -> list[ChannelRow]:
    """All companies' channels that were ever started, for the scope `status`."""
    return await CHANNELS.find(tx, _REGISTERED)


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
    """A channel of the transaction's tenant that is not deleted; raises NotFoundError."""
    row = await find_if_any(tx, (tx.tenant_id, channel_id), lock=lock)
    if row is None:
        raise NotFoundError("channel")
    return row


async def find_if_any(
    tx: Transaction, channel: ChannelKey, *, lock: bool = False
) -> ChannelRow | None:
    """A channel, unless it is deleted or none of that tenant's."""
    row = await CHANNELS.first(tx, _FIND_LOCKED if lock else _FIND, *channel)
    return row if row and row.deleted_at is None else None


async def count_bulk(tx: Transaction, channel: ChannelKey) -> None:
    """A message in bulk leaves: it counts for today (UTC)."""
    await tx.execute(_COUNT_BULK, *channel)


async def discount_bulk(tx: Transaction, channel: ChannelKey) -> None:
    """One that was counted today was not sent."""
    await tx.execute(_DISCOUNT_BULK, *channel)


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
        " engine = NULL, waha_status = NULL, waha_status_at = NULL, restricted_since = NULL,"
        " restricted_until = NULL, bulk_day = NULL WHERE id = $1 RETURNING *",
        channel_id,
    )
    if row is None:
        raise NotFoundError("channel")
    return row
