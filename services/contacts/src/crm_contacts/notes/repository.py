"""Notes in the database."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.contacts import note as contract
from shared_events.contacts.note import ListContactNotes
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.notes.models import Note

_NOTES = Rows(Note)
_C = _NOTES.table.c
_NEWEST_FIRST = Order("notes", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)


async def insert(tx: Transaction, note: Note) -> None:
    """Add a note."""
    await _NOTES.insert(tx, [note])


async def find(tx: Transaction, contact_id: UUID, note_id: UUID) -> Note | None:
    """The note, unless it is missing, about somebody else or another tenant's."""
    return await _NOTES.first(
        tx, "SELECT * FROM notes WHERE id = $1 AND contact_id = $2", note_id, contact_id
    )


async def page(tx: Transaction, request: ListContactNotes) -> Page[contract.Note]:
    """Notes about a contact, newest first; raises MalformedError."""
    statement = select(Note).where(_C.contact_id == request.contact_id)
    if request.pinned is not None:
        statement = statement.where(_C.pinned == request.pinned)
    return await _NEWEST_FIRST.page(tx, statement, request, _NOTES, to_resource)


def to_resource(note: Note) -> contract.Note:
    """A note as customers see it."""
    return contract.Note.model_validate(note.model_dump(exclude={"tenant_id"}))
