"""What is known of numbers, and how many were asked for today."""

from collections.abc import Collection
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.numbers.freshness import Freshness
from crm_channels_waha.numbers.models import NumberCheckRow

CHECKS = Rows(NumberCheckRow)
_KNOWN = """
SELECT * FROM number_checks WHERE tenant_id = $1 AND channel_id = $2 AND phone = ANY($3::text[])
    AND checked_at > now()
        - make_interval(secs => CASE WHEN chat_id IS NULL THEN $5::float8 ELSE $4::float8 END)
"""
_NOTE = """
INSERT INTO number_checks (tenant_id, channel_id, phone, chat_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, channel_id, phone)
DO UPDATE SET chat_id = excluded.chat_id, checked_at = now()
RETURNING *
"""
_PURGE = """
DELETE FROM number_checks WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM number_checks WHERE checked_at < now() - make_interval(secs => $1) LIMIT $2))
"""
_TAKE = """
INSERT INTO number_quotas AS q (tenant_id, channel_id, day, used)
SELECT $1, $2, (now() AT TIME ZONE 'UTC')::date, $3 WHERE $3::int <= $4::int
ON CONFLICT (tenant_id, channel_id) DO UPDATE SET day = excluded.day,
    used = excluded.used + CASE WHEN q.day = excluded.day THEN q.used ELSE 0 END
WHERE excluded.used + CASE WHEN q.day = excluded.day THEN q.used ELSE 0 END <= $4
RETURNING used
"""
_GIVE_BACK = """
UPDATE number_quotas SET used = greatest(used - $3, 0)
WHERE tenant_id = $1 AND channel_id = $2 AND day = (now() AT TIME ZONE 'UTC')::date
"""
_TOMORROW = """
SELECT ceil(extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day'
    - now() AT TIME ZONE 'UTC'))::int
"""
_BATCH = 5000


async def known(
    tx: Transaction, channel_id: UUID, phones: Collection[str], freshness: Freshness
) -> dict[str, NumberCheckRow]:
    """What was found out of these phones' digits, and is still good."""
    rows = await CHECKS.find(
        tx,
        _KNOWN,
        tx.tenant_id,
        channel_id,
        list(phones),
        freshness.there,
        freshness.missing,
    )
    return {row.phone: row for row in rows}


async def note(
    tx: Transaction, channel_id: UUID, phone: str, chat_id: str | None
) -> NumberCheckRow:
    """Keep an answer; of two the later."""
    (row,) = await CHECKS.find(tx, _NOTE, tx.tenant_id, channel_id, phone, chat_id)
    return row


async def take(tx: Transaction, channel_id: UUID, count: int, most: int) -> bool:
    """Count so many towards today's; False when they are more than are left."""
    return await tx.fetchval(_TAKE, tx.tenant_id, channel_id, count, most) is not None


async def give_back(tx: Transaction, channel_id: UUID, count: int) -> None:
    """So many of those taken were not asked after all."""
    await tx.execute(_GIVE_BACK, tx.tenant_id, channel_id, count)


async def seconds_of_today(tx: Transaction) -> int:
    """How long this day (UTC) goes on."""
    seconds: int = await tx.fetchval(_TOMORROW)
    return seconds


async def purge(tx: Transaction, *, seconds: float) -> bool:
    """Delete what was found out longer ago; whether there may be more."""
    return await tx.execute(_PURGE, seconds, _BATCH) == _BATCH
