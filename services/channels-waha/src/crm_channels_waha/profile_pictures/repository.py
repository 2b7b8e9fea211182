"""Whose picture is to be looked at, and when."""

from collections.abc import Iterable
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.looks import claiming
from crm_channels_waha.profile_pictures.models import ProfilePicture

Writer = tuple[str, str, UUID]
"""A company, the chat of somebody who wrote to it, and through which channel."""

PICTURES = Rows(ProfilePicture)
# Who was looked at lately is read and not written, which is nearly everybody. In the order of the
# key: two transactions that meet somebody new wait for each other at the first of them.
_ENTER = """
WITH news AS MATERIALIZED (
    SELECT k.* FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k(tenant_id, chat_id, channel_id)
    LEFT JOIN LATERAL (SELECT true AS known, due_at IS NULL
            AND looked_at < now() - make_interval(days => $4) AS stale FROM profile_pictures
        WHERE tenant_id = k.tenant_id AND chat_id = k.chat_id LIMIT 1) AS p ON true
    WHERE p.known IS NULL OR p.stale
    ORDER BY k.tenant_id, k.chat_id),
entered AS (
    INSERT INTO profile_pictures AS p (tenant_id, chat_id, channel_id, due_at)
    SELECT *, now() FROM news
    ON CONFLICT (tenant_id, chat_id) DO UPDATE SET due_at = now(), channel_id = excluded.channel_id
    WHERE p.due_at IS NULL
    RETURNING tenant_id, channel_id)
INSERT INTO picture_paces (tenant_id, channel_id)
SELECT DISTINCT tenant_id, channel_id FROM entered ORDER BY tenant_id, channel_id
ON CONFLICT DO NOTHING
"""
_CLAIM = claiming("profile_pictures", "picture_paces")
_LOCK = "SELECT * FROM profile_pictures WHERE tenant_id = $1 AND chat_id = $2 FOR UPDATE"
_LOOKED = """
UPDATE profile_pictures SET media_id = $3, attempts = 0, due_at = NULL, looked_at = now()
WHERE tenant_id = $1 AND chat_id = $2
"""
_AGAIN = """
UPDATE profile_pictures SET due_at = now() + make_interval(secs => $3)
WHERE tenant_id = $1 AND chat_id = $2
"""
_REST = """
UPDATE picture_paces SET next_at = now() + make_interval(secs => $3)
WHERE tenant_id = $1 AND channel_id = $2
"""


async def enter(tx: Transaction, writers: Iterable[Writer], *, fresh_days: int) -> None:
    """Have the pictures looked at of those who are new, or were looked at so many days ago."""
    told = {(tenant_id, chat_id): channel_id for tenant_id, chat_id, channel_id in writers}
    if told:
        await tx.execute(
            _ENTER,
            [tenant_id for tenant_id, _ in told],
            [chat_id for _, chat_id in told],
            list(told.values()),
            fresh_days,
        )


async def claim(
    tx: Transaction, limit: int, interval_seconds: float, lease_seconds: float
) -> list[ProfilePicture]:
    """Whom to look at now: one a channel, and that channel's next not before the interval."""
    return await PICTURES.find(tx, _CLAIM, limit, interval_seconds, lease_seconds)


async def lock(tx: Transaction, chat_id: str) -> ProfilePicture | None:
    """Somebody of the transaction's tenant, locked; None for who was erased meanwhile."""
    return await PICTURES.first(tx, _LOCK, tx.tenant_id, chat_id)


async def looked(tx: Transaction, chat_id: str, media_id: UUID | None) -> None:
    """Note which picture somebody has, or that they have none."""
    await tx.execute(_LOOKED, tx.tenant_id, chat_id, media_id)


async def again(tx: Transaction, row: ProfilePicture, pause_seconds: float) -> None:
    """Look at somebody later."""
    await tx.execute(_AGAIN, tx.tenant_id, row.chat_id, pause_seconds)


async def rest(tx: Transaction, channel_id: UUID, pause_seconds: float) -> None:
    """Let a channel's WAHA alone for a while."""
    await tx.execute(_REST, tx.tenant_id, channel_id, pause_seconds)
