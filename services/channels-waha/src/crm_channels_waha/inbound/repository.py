"""Keeping raw events and hidden ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from service_kit.database import Transaction

_KEEP = """
INSERT INTO raw_events (id, tenant_id, channel_id, event, outcome, reason, body, received_at)
SELECT k.id, $8, k.channel_id, k.event, k.outcome, k.reason, k.body, k.received_at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[],
    $7::timestamptz[]) AS k(id, channel_id, event, outcome, reason, body, received_at)
ON CONFLICT (id) DO NOTHING
"""
# A phone once known is only replaced by another phone, never by "unknown". Sorted, so that two
# transactions lock the same rows in the same order.
_LEARN = """
INSERT INTO lid_refs (tenant_id, lid, phone, channel_id)
SELECT $4, l.lid, l.phone, l.channel_id
FROM unnest($1::text[], $2::text[], $3::uuid[]) AS l(lid, phone, channel_id)
ORDER BY l.lid
ON CONFLICT (tenant_id, lid) DO UPDATE SET phone = excluded.phone
WHERE excluded.phone IS NOT NULL AND lid_refs.phone IS DISTINCT FROM excluded.phone
"""
# Claimed by moving the next look-up: a replica that dies asking costs a delay, nothing else.
_CLAIM = """
UPDATE lid_refs SET lookups = lookups + 1,
    next_lookup_at = now() + make_interval(secs => $2 * power(4, lookups))
WHERE (tenant_id, lid) IN (
    SELECT tenant_id, lid FROM lid_refs
    WHERE phone IS NULL AND next_lookup_at <= now() AND lookups < $3
    ORDER BY next_lookup_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, lid, channel_id
"""


@dataclass(frozen=True, slots=True)
class RawBody:
    """A raw event to keep."""

    id: UUID
    channel_id: UUID
    event: str
    outcome: str
    reason: str
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class LidSeen:
    """A hidden id seen through a channel, with its phone where the payload told it."""

    lid: str
    phone: str | None
    channel_id: UUID


async def keep(tx: Transaction, events: Sequence[RawBody]) -> None:
    """Keep raw events."""
    if events:
        await tx.execute(
            _KEEP,
            [e.id for e in events],
            [e.channel_id for e in events],
            [e.event[:100] for e in events],
            [e.outcome for e in events],
            [e.reason for e in events],
            [e.body for e in events],
            [e.received_at for e in events],
            tx.tenant_id,
        )


async def learn_lids(tx: Transaction, seen: Sequence[LidSeen]) -> None:
    """Remember hidden ids; those without a phone will be looked up in the background."""
    by_lid: dict[str, LidSeen] = {}
    for ref in seen:
        if ref.phone is not None or ref.lid not in by_lid:
            by_lid[ref.lid] = ref
    if by_lid:
        refs = list(by_lid.values())
        await tx.execute(
            _LEARN,
            [r.lid for r in refs],
            [r.phone for r in refs],
            [r.channel_id for r in refs],
            tx.tenant_id,
        )


async def phones_of(tx: Transaction, lids: Sequence[str]) -> Mapping[str, str]:
    """The known phones behind these hidden ids."""
    if not lids:
        return {}
    rows = await tx.fetch(
        "SELECT lid, phone FROM lid_refs WHERE lid = ANY($1::text[]) AND phone IS NOT NULL",
        list(lids),
    )
    return {row["lid"]: row["phone"] for row in rows}


async def claim_lookups(
    tx: Transaction, *, limit: int, pause_seconds: float, max_lookups: int
) -> list[asyncpg.Record]:
    """Hidden ids to look up now; each waits four times longer after every look-up."""
    return await tx.fetch(_CLAIM, limit, pause_seconds, max_lookups)
