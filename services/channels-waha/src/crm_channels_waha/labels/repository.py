"""Labels, and when a channel's are to be read."""

from collections.abc import Collection, Iterable
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.channels.repository import ChannelKey
from crm_channels_waha.labels.models import LabelLook, LabelRow

LabelKey = tuple[str, UUID, str]
"""Company, channel and WhatsApp's id of the label."""

LABELS = Rows(LabelRow)
_LOOKS = Rows(LabelLook)
_LOCK = """
SELECT l.* FROM (SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])
    AS k(tenant_id, channel_id, label_id) ORDER BY 1, 2, 3) AS k
CROSS JOIN LATERAL (SELECT * FROM labels WHERE tenant_id = k.tenant_id
    AND channel_id = k.channel_id AND label_id = k.label_id LIMIT 1 FOR UPDATE) AS l
"""
_WANT = """
INSERT INTO label_looks AS l (tenant_id, channel_id, due_at)
SELECT k.tenant_id, k.channel_id, now() FROM unnest($1::text[], $2::uuid[])
    AS k(tenant_id, channel_id)
ORDER BY k.tenant_id, k.channel_id
ON CONFLICT (tenant_id, channel_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
WHERE l.due_at IS NULL
"""
# Claimed by moving the next look: a replica that dies asking costs a delay, nothing else. What a
# channel cannot look at now waits until it can.
_CLAIM = """
UPDATE label_looks AS l SET attempts = l.attempts + 1,
    due_at = now() + make_interval(secs => $2 * power(4, l.attempts))
FROM (SELECT k.tenant_id, k.channel_id FROM label_looks AS k
    CROSS JOIN LATERAL (SELECT FROM channels WHERE tenant_id = k.tenant_id AND id = k.channel_id
        AND deleted_at IS NULL AND status = 'connected' LIMIT 1) AS c
    WHERE k.due_at <= now() ORDER BY k.due_at LIMIT $1 FOR UPDATE OF k SKIP LOCKED) AS due
WHERE l.tenant_id = due.tenant_id AND l.channel_id = due.channel_id
RETURNING l.*
"""
_LOOKED = """
UPDATE label_looks SET due_at = NULL, attempts = 0 WHERE tenant_id = $1 AND channel_id = $2
"""


async def lock(tx: Transaction, keys: Collection[LabelKey]) -> dict[LabelKey, LabelRow]:
    """These labels, those not known yet among them, nobody else changing them."""
    wanted = sorted(keys)
    new = [LabelRow(tenant_id=t, channel_id=c, label_id=label) for t, c, label in wanted]
    await LABELS.insert(tx, new, unless="(tenant_id, channel_id, label_id)")
    rows = await LABELS.find(tx, _LOCK, *map(list, zip(*wanted, strict=True)))
    return {(row.tenant_id, row.channel_id, row.label_id): row for row in rows}


async def save(tx: Transaction, rows: Iterable[LabelRow]) -> None:
    """Write labels whose locks are held."""
    await LABELS.update(tx, rows)


async def want(tx: Transaction, channels: Collection[ChannelKey]) -> None:
    """Have the labels of channels read; a look that is due already stays so."""
    if channels:
        await tx.execute(_WANT, *map(list, zip(*sorted(channels), strict=True)))


async def claim(tx: Transaction, *, limit: int, pause_seconds: float) -> list[LabelLook]:
    """The channels whose labels to read now; each waits four times longer after every look."""
    return await _LOOKS.find(tx, _CLAIM, limit, pause_seconds)


async def looked(tx: Transaction, channel: ChannelKey) -> None:
    """A channel's labels were read, or will not be."""
    await tx.execute(_LOOKED, *channel)
