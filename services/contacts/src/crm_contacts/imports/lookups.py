"""Finding contacts for a whole batch of an import."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape

# LATERAL looks each e-mail up by itself, whatever is believed of a young table. Two are enough to
# know that it is not one.
_BY_EMAIL = """
SELECT k.email, c.id FROM unnest($2::text[]) AS k(email)
CROSS JOIN LATERAL (
    SELECT id FROM contacts
    WHERE tenant_id = $1 AND email = k.email AND email IS NOT NULL AND deleted_at IS NULL
    LIMIT 2) AS c
"""
# One batch of a company's imports at a time: two files may both have somebody who is new.
_LANE = "SELECT pg_advisory_xact_lock(hashtextextended('import/' || $1, 0))"


@dataclass(frozen=True, slots=True)
class _Found:
    email: str
    id: UUID


_FOUND = Shape(_Found)


async def by_email(tx: Transaction, emails: Collection[str]) -> dict[str, list[UUID]]:
    """The contacts that have each e-mail; of many, two."""
    found: dict[str, list[UUID]] = {}
    for one in await _FOUND.find(tx, _BY_EMAIL, tx.tenant_id, list(emails)):
        found.setdefault(one.email, []).append(one.id)
    return found


async def take_lane(tx: Transaction) -> None:
    """Be the only import of the company's until the transaction ends."""
    await tx.execute(_LANE, tx.tenant_id)
