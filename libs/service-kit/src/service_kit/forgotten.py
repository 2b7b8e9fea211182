"""Who comes after somebody who was erased (docs/adr/0022).

An erased person's identities are known by their digests alone. Whoever is shown by one of them from
then on is a contact of their own, the same in every service that has to know whose a message is.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared_events.identity import Forgotten, TenantIdentity, digest

from service_kit.database import Transaction
from service_kit.rows import Shape

# One look into the key for each, whatever the planner believes of a table that was empty.
_FIND = """
SELECT e.* FROM unnest($1::text[], $2::text[]) AS k(tenant_id, digest)
CROSS JOIN LATERAL (SELECT * FROM erased_identities
    WHERE tenant_id = k.tenant_id AND digest = k.digest LIMIT 1) AS e
"""
_ADD = """
INSERT INTO erased_identities (tenant_id, digest, next_contact_id, erased_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[])
ORDER BY 1, 2
ON CONFLICT (tenant_id, digest) DO UPDATE
    SET next_contact_id = excluded.next_contact_id, erased_at = excluded.erased_at
    WHERE erased_identities.erased_at < excluded.erased_at
"""


@dataclass(frozen=True, slots=True)
class _Erased:
    tenant_id: str
    digest: str
    next_contact_id: UUID
    erased_at: datetime


_FOUND = Shape(_Erased)


async def find(
    tx: Transaction, wanted: Collection[TenantIdentity]
) -> dict[TenantIdentity, Forgotten]:
    """Those of the identities whose owner was erased; nothing is asked where none is wanted."""
    if not wanted:
        return {}
    keys = {(identity[0], digest(identity)): identity for identity in wanted}
    rows = await _FOUND.find(tx, _FIND, [tenant for tenant, _ in keys], [d for _, d in keys])
    return {
        keys[row.tenant_id, row.digest]: Forgotten(row.next_contact_id, row.erased_at)
        for row in rows
    }


async def add(tx: Transaction, identities: Collection[tuple[TenantIdentity, Forgotten]]) -> None:
    """Whoever is shown by these from now on is somebody else; the latest erasure counts."""
    # Once each: what two aliases share is one key, and the statement may write it once only.
    rows = {(identity[0], digest(identity)): after for identity, after in identities}
    if rows:
        await tx.execute(
            _ADD,
            [tenant_id for tenant_id, _ in rows],
            [hashed for _, hashed in rows],
            [after.next_contact_id for after in rows.values()],
            [after.erased_at for after in rows.values()],
        )
