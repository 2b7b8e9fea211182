"""The requests about notes (`shared_events.contacts.note`)."""

from datetime import UTC, datetime
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from shared_events.contacts import note as contract
from shared_events.contacts.note import CreateNote, GetNote, ListContactNotes, NoteAdded
from shared_events.requests import Page

from crm_contacts.contacts import repository as contacts
from crm_contacts.notes import repository
from crm_contacts.notes.models import Note


async def create(tx: Transaction, request: CreateNote, call: Call) -> contract.Note:
    """Write a note in the caller's name, and tell of it; raises NotFoundError."""
    await _check_contact(tx, request.contact_id)
    now = datetime.now(UTC)
    note = Note(
        **request.model_dump(),
        id=uuid7(),
        tenant_id=tx.tenant_id,
        author_id=call.user_id,
        author_type="system" if call.user_id is None else "agent",
        created_at=now,
        updated_at=now,
    )
    await repository.insert(tx, note)
    written = repository.to_resource(note)
    tx.outbox.add(NoteAdded(note=written), note.contact_id)
    return written


async def get(tx: Transaction, request: GetNote, call: Call) -> contract.Note:
    """One note; raises NotFoundError."""
    del call
    await _check_contact(tx, request.contact_id)
    note = await repository.find(tx, request.contact_id, request.note_id)
    if note is None:
        raise NotFoundError("note")
    return repository.to_resource(note)


async def list_of_contact(
    tx: Transaction, request: ListContactNotes, call: Call
) -> Page[contract.Note]:
    """The notes about a contact, newest first; raises NotFoundError."""
    del call
    await _check_contact(tx, request.contact_id)
    return await repository.page(tx, request)


async def _check_contact(tx: Transaction, contact_id: UUID) -> None:
    """Nobody reads or writes about a contact that is not there, or no longer."""
    if await contacts.find_live(tx, contact_id) is None:
        raise NotFoundError("contact")
