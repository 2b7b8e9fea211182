"""Every tracking that is told of is read, and what it says is kept beside it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.contacts import tracking as contract
from shared_events.contacts.tracking import TrackingCreated, TrackingEnriched

from crm_contacts.trackings import repository
from crm_contacts.trackings.models import TrackingEnrichment
from crm_contacts.trackings.reading import read


async def on_created(tx: Transaction, events: Sequence[Event[TrackingCreated]]) -> None:
    """Read what these trackings say, and tell of it; one that is gone by now says nothing."""
    causes = {(event.tenant_id, event.data.tracking.id): event.cause for event in events}
    rows = await repository.keep(tx, list(causes))
    enriched = await asyncio.to_thread(_read, [repository.to_resource(row) for row in rows])
    await repository.ENRICHMENTS.insert(
        tx,
        [
            TrackingEnrichment(
                tracking_id=row.id,
                tenant_id=row.tenant_id,
                **dict(one.enrichment or ()),
            )
            for row, one in zip(rows, enriched, strict=True)
        ],
        unless="(tracking_id)",
    )
    for row, one in zip(rows, enriched, strict=True):
        tx.outbox.add(
            TrackingEnriched(tracking=one),
            one.contact_id,
            tenant_id=row.tenant_id,
            cause=causes[row.tenant_id, row.id],
        )


def _read(trackings: list[contract.Tracking]) -> list[contract.Tracking]:
    now = datetime.now(UTC)
    return [one.model_copy(update={"enrichment": read(one, now)}) for one in trackings]
