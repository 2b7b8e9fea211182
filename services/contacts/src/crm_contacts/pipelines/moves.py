"""Contacts that go from one place to another: their stays, and what is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.contacts.contact import Contact
from shared_events.contacts.pipeline import ContactPipelineStatusChanged, ListStays, Place, Stay
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.pipelines.models import ContactPipelineStatus

_STAYS = Rows(ContactPipelineStatus)
_C = _STAYS.table.c
_NEWEST_FIRST = Order("stays", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
# The clock of another replica may be a little ahead: nobody leaves before having come.
_LEAVE = """
UPDATE contact_pipeline_statuses SET left_at = greatest(entered_at, $3)
WHERE tenant_id = $1 AND contact_id = ANY($2) AND left_at IS NULL RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Move:
    """Where contacts are sent, by whom and why. `to` is None where a request names no place."""

    to: Place | None
    by: UUID | None
    reason: str | None = None


async def record(tx: Transaction, moved: Sequence[Contact], move: Move) -> None:
    """End the stays of contacts that were moved, begin the next, and tell of each.

    `moved` are the contacts as they are by now; the caller holds their locks.
    """
    now = datetime.now(UTC)
    ids = [contact.id for contact in moved]
    left = await _STAYS.find(tx, _LEAVE, tx.tenant_id, ids, now)
    before = {stay.contact_id: _place(stay) for stay in left}
    after = {contact.id: _after(contact, move, before.get(contact.id)) for contact in moved}
    await _STAYS.insert(
        tx,
        [
            ContactPipelineStatus(
                **place.model_dump(),
                id=uuid7(),
                tenant_id=tx.tenant_id,
                contact_id=contact_id,
                entered_at=now,
                moved_by=move.by,
                reason=move.reason,
            )
            for contact_id, place in after.items()
            if place is not None
        ],
    )
    for contact in moved:
        told = ContactPipelineStatusChanged(
            contact=contact,
            before=before.get(contact.id),
            after=after[contact.id],
            reason=move.reason,
            moved_by=move.by,
        )
        tx.outbox.add(told, contact.id)


async def page(tx: Transaction, request: ListStays) -> Page[Stay]:
    """Where a contact has been, newest first; raises MalformedError."""
    statement = select(ContactPipelineStatus).where(_C.contact_id == request.contact_id)
    return await _NEWEST_FIRST.page(tx, statement, request, _STAYS, _to_resource)


def _after(contact: Contact, move: Move, before: Place | None) -> Place | None:
    if contact.pipeline_id is None:
        return None
    if move.to is not None:
        return move.to
    # It lost its status and stays in its pipeline.
    known_as = before.pipeline_name if before else None
    return Place(pipeline_id=contact.pipeline_id, pipeline_name=known_as)


def _place(stay: ContactPipelineStatus) -> Place:
    return Place(**{name: getattr(stay, name) for name in Place.model_fields})


def _to_resource(stay: ContactPipelineStatus) -> Stay:
    seconds = (stay.left_at - stay.entered_at).total_seconds() if stay.left_at else None
    shown = stay.model_dump(exclude={"tenant_id", "contact_id"})
    return Stay(**shown, duration_seconds=seconds)
