"""Who is whom: WhatsApp identities on record (docs/architecture.md, "Identity").

Each is a company's own: two that know one number know nothing of each other.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.identity import IdentityKind, Owned, TenantIdentity

from crm_contacts.contacts.models import ContactIdentity

# LATERAL with a LIMIT looks each key up by itself: no statistics can talk the planner into reading
# all identities of a tenant.
_FIND = """
SELECT k.tenant_id, k.kind, k.canonical, i.value, i.contact_id, i.proved
FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, kind, canonical)
CROSS JOIN LATERAL (
    SELECT value, contact_id, proved FROM contact_identities
    WHERE tenant_id = k.tenant_id AND kind = k.kind AND canonical = k.canonical LIMIT 1) AS i
"""

_PROVE = """
UPDATE contact_identities i SET value = n.value, proved = true
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[])
    AS n(tenant_id, kind, canonical, value, contact_id)
WHERE i.tenant_id = n.tenant_id AND i.kind = n.kind AND i.canonical = n.canonical
    AND i.contact_id = n.contact_id
"""

# Whoever is about to record an identity takes its lock first and looks again: two that meet over
# a new one (a message and a REST call, say) then agree on its contact.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(k, 0))
FROM (SELECT unnest($1::text[]) AS k ORDER BY 1) AS keys
"""


@dataclass(frozen=True, slots=True)
class _OnRecord:
    """An identity and the contact it belongs to."""

    tenant_id: str
    kind: IdentityKind
    canonical: str
    value: str
    contact_id: UUID
    proved: bool


_ON_RECORD = Shape(_OnRecord)
_IDENTITIES = Rows(ContactIdentity)


async def find(tx: Transaction, wanted: Collection[TenantIdentity]) -> dict[TenantIdentity, Owned]:
    """Those of the identities that are on record."""
    found = await _ON_RECORD.find(
        tx,
        _FIND,
        [tenant_id for tenant_id, _ in wanted],
        [kind for _, (kind, _) in wanted],
        [canonical for _, (_, canonical) in wanted],
    )
    return {
        (i.tenant_id, (i.kind, i.canonical)): Owned(i.contact_id, i.value, i.proved) for i in found
    }


async def find_locked(
    tx: Transaction, wanted: Collection[TenantIdentity]
) -> dict[TenantIdentity, Owned]:
    """As `find`, with those that are not on record locked until the transaction ends."""
    known = await find(tx, wanted)
    missing = [key for key in wanted if key not in known]
    if missing:
        await lock(tx, missing)
        known |= await find(tx, missing)
    return known


async def lock(tx: Transaction, wanted: Iterable[TenantIdentity]) -> None:
    """Be the only one to record these identities until the transaction ends.

    Take all of them at once, and before any row lock: they are taken in one order over all
    companies, and that is what keeps two transactions from a deadlock.
    """
    await tx.execute(_LOCK, [f"{tenant}/{kind}/{name}" for tenant, (kind, name) in wanted])


async def save(tx: Transaction, owned: Mapping[TenantIdentity, Owned]) -> None:
    """Record new identities, and aliases or owners that changed."""
    await _IDENTITIES.upsert(tx, _rows(owned), "value", "contact_id", "proved")


async def prove(tx: Transaction, owned: Mapping[TenantIdentity, Owned]) -> None:
    """Record what messages showed of identities, unless they are somebody else's by now."""
    if owned:
        ordered = sorted(owned.items(), key=itemgetter(0))
        await tx.execute(
            _PROVE,
            [tenant_id for (tenant_id, _), _ in ordered],
            [kind for (_, (kind, _)), _ in ordered],
            [canonical for (_, (_, canonical)), _ in ordered],
            [one.value for _, one in ordered],
            [one.contact_id for _, one in ordered],
        )


def _rows(owned: Mapping[TenantIdentity, Owned]) -> list[ContactIdentity]:
    return [
        # The constructor of a SQLModel table takes ten times as long.
        ContactIdentity.model_construct(
            {"tenant_id", "kind", "canonical", "value", "contact_id", "proved"},
            tenant_id=tenant_id,
            kind=kind,
            canonical=canonical,
            value=one.value,
            contact_id=one.contact_id,
            proved=one.proved,
        )
        for (tenant_id, (kind, canonical)), one in owned.items()
    ]
