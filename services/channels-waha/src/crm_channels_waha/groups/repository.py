"""Which group is to be looked up, and when."""

from collections.abc import Mapping
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.groups.models import GroupLook
from crm_channels_waha.looks import claiming

Group = tuple[str, UUID, str]
"""Company, channel and chat."""

GROUPS = Rows(GroupLook)
# A group that is known is read and not written, which is nearly every one. In the order of the key:
# two transactions that meet new ones wait for each other at the first of them.
_ENTER = """
WITH news AS MATERIALIZED (
    SELECT k.* FROM unnest($1::text[], $2::uuid[], $3::text[], $4::boolean[])
        AS k(tenant_id, channel_id, chat_id, is_told)
    LEFT JOIN LATERAL (SELECT true AS known, due_at IS NULL
            AND looked_at < now() - make_interval(days => $5) AS stale FROM group_looks
        WHERE tenant_id = k.tenant_id AND channel_id = k.channel_id AND chat_id = k.chat_id
        LIMIT 1) AS g ON true
    WHERE g.known IS NULL OR g.stale OR k.is_told
    ORDER BY k.tenant_id, k.channel_id, k.chat_id),
entered AS (
    INSERT INTO group_looks AS g (tenant_id, channel_id, chat_id, due_at, looked_at)
    SELECT tenant_id, channel_id, chat_id, CASE WHEN NOT is_told THEN now() END,
        CASE WHEN is_told THEN now() END FROM news
    ON CONFLICT (tenant_id, channel_id, chat_id) DO UPDATE SET due_at = excluded.due_at,
        looked_at = coalesce(excluded.looked_at, g.looked_at), attempts = 0
    WHERE g.due_at IS NULL OR excluded.looked_at IS NOT NULL
    RETURNING tenant_id, channel_id)
INSERT INTO group_paces (tenant_id, channel_id)
SELECT DISTINCT tenant_id, channel_id FROM entered ORDER BY tenant_id, channel_id
ON CONFLICT DO NOTHING
"""
# What a channel cannot look at now waits until it can.
_CLAIM = claiming(
    "group_looks",
    "group_paces",
    """CROSS JOIN LATERAL (SELECT FROM channels
        WHERE tenant_id = p.tenant_id AND id = p.channel_id AND allow_groups
            AND deleted_at IS NULL AND status = 'connected' LIMIT 1) AS c""",
)
_LOOKED = """
UPDATE group_looks SET attempts = 0, due_at = NULL, looked_at = now()
WHERE tenant_id = $1 AND channel_id = $2 AND chat_id = $3
"""
_AGAIN = """
UPDATE group_looks SET due_at = now() + make_interval(secs => $4)
WHERE tenant_id = $1 AND channel_id = $2 AND chat_id = $3 AND due_at IS NOT NULL
"""
_REST = """
UPDATE group_paces SET next_at = now() + make_interval(secs => $3)
WHERE tenant_id = $1 AND channel_id = $2
"""


async def enter(tx: Transaction, seen: Mapping[Group, bool], *, fresh_days: int) -> None:
    """Have groups looked up that are new, or were looked up so many days ago.

    Not those of which WAHA itself told what they are called (true).
    """
    if seen:
        tenants, channels, chats = map(list, zip(*seen, strict=True))
        await tx.execute(_ENTER, tenants, channels, chats, list(seen.values()), fresh_days)


async def claim(
    tx: Transaction, limit: int, interval_seconds: float, lease_seconds: float
) -> list[GroupLook]:
    """What to look up now: one group a channel, and its next not before the interval."""
    return await GROUPS.find(tx, _CLAIM, limit, interval_seconds, lease_seconds)


async def looked(tx: Transaction, row: GroupLook) -> None:
    """Note that a group was looked up."""
    await tx.execute(_LOOKED, row.tenant_id, row.channel_id, row.chat_id)


async def put_off(tx: Transaction, row: GroupLook, rest_seconds: float, pause: float) -> None:
    """Let a channel's WAHA alone for a while, and look at the group later than that."""
    await tx.execute(_REST, row.tenant_id, row.channel_id, rest_seconds)
    await tx.execute(_AGAIN, row.tenant_id, row.channel_id, row.chat_id, pause)
