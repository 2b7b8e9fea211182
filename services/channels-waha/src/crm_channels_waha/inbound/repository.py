"""Keeping raw events and hidden ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_channels_waha.inbound.models import LidRef, RawEvent

_RAW = Rows(RawEvent)
_LIDS = Rows(LidRef)
# Claimed by moving the next look-up: a replica that dies asking costs a delay, nothing else.
_CLAIM = """
UPDATE lid_refs SET lookups = lookups + 1,
    next_lookup_at = now() + make_interval(secs => $2 * power(4, lookups))
WHERE (tenant_id, lid) IN (
    SELECT tenant_id, lid FROM lid_refs
    WHERE phone IS NULL AND next_lookup_at <= now() AND lookups < $3
    ORDER BY next_lookup_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


@dataclass(frozen=True, slots=True)
class LidSeen:
    """A hidden id seen through a channel, with its phone where the payload told it."""

    lid: str
    phone: str | None
    channel_id: UUID


async def keep(tx: Transaction, events: Sequence[RawEvent]) -> None:
    """Keep raw events."""
    await _RAW.insert(tx, events, unless="(id)")


async def learn_lids(tx: Transaction, seen: Sequence[LidSeen]) -> None:
    """Remember hidden ids; those without a phone will be looked up in the background."""
    by_lid: dict[str, LidSeen] = {}
    for ref in seen:
        if ref.phone is not None or ref.lid not in by_lid:
            by_lid[ref.lid] = ref
    rows = [
        LidRef(tenant_id=tx.tenant_id, lid=ref.lid, phone=ref.phone, channel_id=ref.channel_id)
        for _, ref in sorted(by_lid.items())
    ]
    # Sorted, so that two transactions lock the same rows in the same order.
    # A phone once known is only replaced by another phone, never by "unknown".
    await _LIDS.upsert(tx, [row for row in rows if row.phone], "phone", differs="phone")
    await _LIDS.insert(tx, [row for row in rows if not row.phone], unless="(tenant_id, lid)")


async def phones_of(tx: Transaction, lids: Sequence[str]) -> Mapping[str, str]:
    """The known phones behind these hidden ids."""
    if not lids:
        return {}
    rows = await _LIDS.find(
        tx,
        "SELECT * FROM lid_refs WHERE lid = ANY($1::text[]) AND phone IS NOT NULL",
        list(lids),
    )
    return {row.lid: row.phone for row in rows if row.phone is not None}


async def claim_lookups(
    tx: Transaction, *, limit: int, pause_seconds: float, max_lookups: int
) -> list[LidRef]:
    """Hidden ids to look up now; each waits four times longer after every look-up."""
    return await _LIDS.find(tx, _CLAIM, limit, pause_seconds, max_lookups)
