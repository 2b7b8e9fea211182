"""The requests about notes (`shared_events.contacts.note`)."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError, PreconditionFailedError
from service_kit.ids import uuid7
from shared_events.contacts import note as contract
from shared_events.contacts.note import (
    CreateNote,
    DeleteNote,
    GetNote,
    ListContactNotes,
    ListSessionNotes,
    NoteAdded,
    NoteDeleted,
    NoteUpdated,
    PatchNote,
)
from shared_events.requests import Nothing, Page

from crm_contacts.contacts import repository as contacts
from crm_contacts.notes import repository
from crm_contacts.notes.models import Note


async def create(tx: Transaction, request: CreateNote, call: Call) -> contract.Note:
    """Write a note in the caller's name, and tell of it; raises NotFoundError."""
    await contacts.get_live(tx, request.contact_id, keep=True)
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
    await contacts.get_live(tx, request.contact_id)
    note = await repository.find(tx, request.contact_id, request.note_id)
    if note is None:
        raise NotFoundError("note")
    return repository.to_resource(note)


async def patch(tx: Transaction, request: PatchNote, call: Call) -> contract.Note:
    """Change a note, and tell of it; raises NotFoundError and PreconditionFailedError."""
    note = await _locked(tx, request, call)
    given = request.model_dump(exclude={"contact_id", "note_id"}, exclude_none=True)
    fields = {name: value for name, value in given.items() if getattr(note, name) != value}
    if not fields:
        return repository.to_resource(note)
    newer = {"version": note.version + 1, "updated_at": datetime.now(UTC)}
    note = note.model_copy(update={**fields, **newer})
    await repository.update(tx, note)
    changed = repository.to_resource(note)
    tx.outbox.add(NoteUpdated(note=changed, changed=sorted(fields)), note.contact_id)
    return changed


async def delete(tx: Transaction, request: DeleteNote, call: Call) -> Nothing:
    """Remove a note, and tell of it; raises NotFoundError and PreconditionFailedError."""
    note = await _locked(tx, request, call)
    await repository.delete(tx, note.id)
    gone = NoteDeleted(note_id=note.id, contact_id=note.contact_id, session_id=note.session_id)
    tx.outbox.add(gone, note.contact_id)
    return Nothing()


async def list_of_contact(
    tx: Transaction, request: ListContactNotes, call: Call
) -> Page[contract.Note]:
    """The notes about a contact, pinned ones first; raises NotFoundError and MalformedError."""
    del call
    await contacts.get_live(tx, request.contact_id)
    return await repository.page_of_contact(tx, request)


async def list_of_session(
    tx: Transaction, request: ListSessionNotes, call: Call
) -> Page[contract.Note]:
    """The notes about a session, pinned ones first; raises MalformedError.

    Sessions are another service's: one that nobody wrote about, or that there is not, has none.
    """
    del call
    return await repository.page_of_session(tx, request)


async def _locked(tx: Transaction, request: PatchNote | DeleteNote, call: Call) -> Note:
    """The note, locked, at the version the caller saw."""
    await contacts.get_live(tx, request.contact_id)
    note = await repository.find_for_update(tx, request.contact_id, request.note_id)
    if note is None:
        raise NotFoundError("note")
    PreconditionFailedError.check(call.expected_version, note.version)
    return note
