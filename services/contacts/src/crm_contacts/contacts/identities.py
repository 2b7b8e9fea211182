"""WhatsApp identities and the contact each belongs to (docs/architecture.md, "Identity")."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from shared_events.identity import WhatsAppId

Key = tuple[str, str]
"""(kind, canonical): what two aliases of one identity share."""


@dataclass(frozen=True, slots=True)
class Owned:
    """An identity on record: the alias WhatsApp uses and the contact it belongs to."""

    value: str
    contact_id: UUID


# LATERAL with a LIMIT looks each key up by itself: no statistics can talk the planner into reading
# all identities of the tenant.
_FIND = """
SELECT k.kind, k.canonical, i.value, i.contact_id
FROM unnest($2::text[], $3::text[]) AS k(kind, canonical)
CROSS JOIN LATERAL (
    SELECT value, contact_id FROM contact_identities
    WHERE tenant_id = $1 AND kind = k.kind AND canonical = k.canonical LIMIT 1) AS i
"""

# Whoever is about to record an identity takes its lock first and looks again: two that meet over
# a new one (a message and a REST call, say) then agree on its contact.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(k, 0))
FROM (SELECT unnest($1::text[]) AS k ORDER BY 1) AS keys
"""

_SAVE = """
INSERT INTO contact_identities (tenant_id, kind, canonical, value, contact_id)
SELECT $1, k.kind, k.canonical, k.value, k.contact_id
FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[]) AS k(kind, canonical, value, contact_id)
ON CONFLICT (tenant_id, kind, canonical)
DO UPDATE SET value = excluded.value, contact_id = excluded.contact_id
"""


def key(identity: WhatsAppId) -> Key:
    """What the identity is recorded under."""
    return identity.kind, identity.canonical


async def find(tx: Transaction, wanted: Collection[Key]) -> dict[Key, Owned]:
    """Those of the identities that are on record."""
    kinds, canonicals = [kind for kind, _ in wanted], [canonical for _, canonical in wanted]
    rows = await tx.fetch(_FIND, tx.tenant_id, kinds, canonicals)
    return {(row["kind"], row["canonical"]): Owned(row["value"], row["contact_id"]) for row in rows}


async def find_locked(tx: Transaction, wanted: Collection[Key]) -> dict[Key, Owned]:
    """As `find`, with those that are not on record locked until the transaction ends."""
    known = await find(tx, wanted)
    missing = [k for k in wanted if k not in known]
    if missing:
        await lock(tx, missing)
        known |= await find(tx, missing)
    return known


async def lock(tx: Transaction, wanted: Iterable[Key]) -> None:
    """Be the only one to record these identities until the transaction ends.

    Take it before any row lock: the order is what keeps two transactions from a deadlock.
    """
    await tx.execute(_LOCK, [f"{tx.tenant_id}/{kind}/{canonical}" for kind, canonical in wanted])


async def save(tx: Transaction, owned: Mapping[Key, Owned]) -> None:
    """Record new identities, and aliases or owners that changed."""
    if not owned:
        return
    await tx.execute(
        _SAVE,
        tx.tenant_id,
        [kind for kind, _ in owned],
        [canonical for _, canonical in owned],
        [o.value for o in owned.values()],
        [o.contact_id for o in owned.values()],
    )
