"""Keeping raw events and hidden ids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape

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
# One look into the key for each, whatever the planner believes of a table that grew.
_ON_RECORD = """
SELECT k.tenant_id, k.lid, l.phone FROM unnest($1::text[], $2::text[]) AS k(tenant_id, lid)
CROSS JOIN LATERAL (
    SELECT phone FROM lid_refs WHERE tenant_id = k.tenant_id AND lid = k.lid LIMIT 1) AS l
"""
# A phone once known is only replaced by another phone, never by "unknown". One statement, in the
# order of the key: two transactions that learn the same meet at the first of them.
_LEARN = """
INSERT INTO lid_refs (tenant_id, lid, phone, channel_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[])
    AS new(tenant_id, lid, phone, channel_id)
ORDER BY tenant_id, lid
ON CONFLICT (tenant_id, lid) DO UPDATE SET phone = excluded.phone
WHERE excluded.phone IS NOT NULL AND lid_refs.phone IS DISTINCT FROM excluded.phone
"""

LidKey = tuple[str, str]
"""Tenant and hidden id: what one company learned is no other's business."""


@dataclass(frozen=True, slots=True)
class LidSeen:
    """A hidden id seen through a channel, with its phone where the payload told it.

    Whether the phone is `wanted`: WAHA is asked for it later.
    """

    tenant_id: str
    lid: str
    phone: str | None
    channel_id: UUID
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class _Known:
    tenant_id: str
    lid: str
    phone: str | None


_KNOWN = Shape(_Known)


async def keep(tx: Transaction, events: Sequence[RawEvent]) -> None:
    """Keep raw events."""
    ordered = sorted(events, key=lambda event: (event.tenant_id, event.id))
    await _RAW.insert(tx, ordered, unless="(id)")


async def learn_lids(tx: Transaction, seen: Sequence[LidSeen]) -> dict[LidKey, str]:
    """Remember hidden ids; returns the phones known of them, from now or from before.

    Those without a phone will be looked up in the background. What is on record is not written
    again, so nobody waits for a person that two batches hear of.
    """
    told: dict[LidKey, LidSeen] = {}
    for ref in seen:
        key = (ref.tenant_id, ref.lid)
        before = told.get(key)
        if before is None or ref.phone or (ref.wanted and not before.phone):
            told[key] = ref
    known = await _on_record(tx, told) if told else {}
    news = [
        ref
        for key, ref in told.items()
        if (key not in known and (ref.phone or ref.wanted))
        or (key in known and ref.phone not in (None, known[key]))
    ]
    if news:
        await tx.execute(
            _LEARN,
            [ref.tenant_id for ref in news],
            [ref.lid for ref in news],
            [ref.phone for ref in news],
            [ref.channel_id for ref in news],
        )
    return {k: phone for k, ref in told.items() if (phone := ref.phone or known.get(k))}


async def _on_record(tx: Transaction, lids: Collection[LidKey]) -> dict[LidKey, str | None]:
    tenant_ids, values = [tenant_id for tenant_id, _ in lids], [lid for _, lid in lids]
    found = await _KNOWN.find(tx, _ON_RECORD, tenant_ids, values)
    return {(one.tenant_id, one.lid): one.phone for one in found}


async def claim_lookups(
    tx: Transaction, *, limit: int, pause_seconds: float, max_lookups: int
) -> list[LidRef]:
    """Hidden ids to look up now; each waits four times longer after every look-up."""
    return await _LIDS.find(tx, _CLAIM, limit, pause_seconds, max_lookups)
