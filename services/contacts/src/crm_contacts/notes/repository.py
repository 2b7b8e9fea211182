"""Notes in the database."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import AnySelect, Rows
from shared_events.contacts import note as contract
from shared_events.contacts.note import ListContactNotes, ListSessionNotes
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.contacts.repository import CONTACTS
from crm_contacts.notes.models import Note

_NOTES = Rows(Note)
_C = _NOTES.table.c
_PINNED_FIRST = Order(
    "notes", [(_C.pinned, bool), (_C.id, UUID)], tenant=_C.tenant_id, descending=True
)
_CONTACTS = CONTACTS.table.c
# Of each note by itself: a join would read all contacts of a company that the planner thinks small.
_CONTACT_IS_LIVE = (
    select(_CONTACTS.deleted_at.is_(None))
    .where(_CONTACTS.tenant_id == _C.tenant_id, _CONTACTS.id == _C.contact_id)
    .scalar_subquery()
)

_FIND = "SELECT * FROM notes WHERE tenant_id = $1 AND id = $2 AND contact_id = $3"


async def insert(tx: Transaction, note: Note) -> None:
    """Add a note."""
    await _NOTES.insert(tx, [note])


async def find(tx: Transaction, contact_id: UUID, note_id: UUID) -> Note | None:
    """The note, unless it is missing, about somebody else or another tenant's."""
    return await _NOTES.first(tx, _FIND, tx.tenant_id, note_id, contact_id)


async def find_for_update(tx: Transaction, contact_id: UUID, note_id: UUID) -> Note | None:
    """As `find`, locked."""
    return await _NOTES.first(tx, f"{_FIND} FOR UPDATE", tx.tenant_id, note_id, contact_id)


async def update(tx: Transaction, note: Note) -> None:
    """Write a note back; the caller holds its lock."""
    await _NOTES.update(tx, [note])


async def delete(tx: Transaction, note_id: UUID) -> None:
    """Remove a note; the caller holds its lock."""
    await tx.execute("DELETE FROM notes WHERE tenant_id = $1 AND id = $2", tx.tenant_id, note_id)


async def page_of_contact(tx: Transaction, request: ListContactNotes) -> Page[contract.Note]:
    """Notes about a contact, pinned ones first; raises MalformedError."""
    return await _page(tx, select(Note).where(_C.contact_id == request.contact_id), request)


async def page_of_session(tx: Transaction, request: ListSessionNotes) -> Page[contract.Note]:
    """Notes about a session, pinned ones first, but for deleted contacts'; MalformedError."""
    statement = select(Note).where(_C.session_id == request.session_id, _CONTACT_IS_LIVE)
    return await _page(tx, statement, request)


async def _page(
    tx: Transaction, statement: AnySelect, request: ListContactNotes | ListSessionNotes
) -> Page[contract.Note]:
    if request.pinned is not None:
        statement = statement.where(_C.pinned == request.pinned)
    return await _PINNED_FIRST.page(tx, statement, request, _NOTES, to_resource)


def to_resource(note: Note) -> contract.Note:
    """A note as customers see it."""
    return contract.Note.model_validate(note.model_dump(exclude={"tenant_id"}))
