"""Trackings, each with what was read out of it."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.contacts import tracking as contract

from crm_contacts.trackings.models import Tracking, TrackingEnrichment

TRACKINGS, ENRICHMENTS = Rows(Tracking), Rows(TrackingEnrichment)
# Each is looked up by itself, whatever the planner believes of a young table.
_ENRICHMENTS = """
SELECT e.* FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (SELECT * FROM tracking_enrichments
    WHERE tenant_id = $1 AND tracking_id = k.id LIMIT 1) AS e
"""
_KEEP = """
SELECT t.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (SELECT * FROM trackings
    WHERE tenant_id = k.tenant_id AND id = k.id LIMIT 1 FOR KEY SHARE) AS t
"""


async def keep(tx: Transaction, refs: Sequence[tuple[str, UUID]]) -> list[Tracking]:
    """Those of these, each by its tenant and id, that are there; until the commit they stay."""
    ordered = sorted(refs)
    return await TRACKINGS.find(tx, _KEEP, [t for t, _ in ordered], [id_ for _, id_ in ordered])


async def to_resources(tx: Transaction, rows: Sequence[Tracking]) -> list[contract.Tracking]:
    """Trackings of the transaction's tenant as customers see them."""
    ids = [row.id for row in rows]
    found = await ENRICHMENTS.find(tx, _ENRICHMENTS, tx.tenant_id, ids) if ids else []
    by_tracking = {one.tracking_id: one for one in found}
    return [to_resource(row, by_tracking.get(row.id)) for row in rows]


def to_resource(row: Tracking, enrichment: TrackingEnrichment | None = None) -> contract.Tracking:
    """A tracking as customers see it."""
    read = enrichment and enrichment.model_dump(exclude={"tenant_id", "tracking_id"})
    return contract.Tracking(**row.model_dump(exclude={"tenant_id"}), enrichment=read)
