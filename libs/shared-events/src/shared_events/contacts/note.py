"""Notes: what agents write down about a contact, for each other."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Nothing, Query

AuthorType = Literal["agent", "system"]
NoteType = Literal[
    "general",
    "follow_up",
    "complaint",
    "resolution",
    "escalation",
    "internal",
    "customer",
    "session_summary",
    "session_handoff",
    "session_feedback",
    "ad_conversion",
    "ad_campaign",
    "ad_attribution",
    "tracking_insight",
]
NotePriority = Literal["low", "normal", "high", "urgent"]


class Note(Contract):
    """What was written down about a contact. It stays inside the company."""

    id: UUID
    contact_id: UUID
    session_id: UUID | None = None
    content: Annotated[str, StringConstraints(max_length=10_000)]
    type: bounds.Word
    priority: bounds.Word
    pinned: bool
    author_id: UUID | None = None
    author_type: AuthorType
    version: int
    created_at: datetime
    updated_at: datetime


Content = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


class CreateNote(Command[Note], key="contacts.note.create"):
    """Write a note about a contact, in the caller's name."""

    contact_id: UUID
    content: Content
    type: NoteType = "general"
    priority: NotePriority = "normal"
    pinned: bool = False
    session_id: UUID | None = Field(default=None, description="The session it is about, if any.")


class GetNote(Query[Note], key="contacts.note.get"):
    """Read one note about a contact."""

    contact_id: UUID
    note_id: UUID


class PatchNote(Command[Note], key="contacts.note.patch"):
    """Change a note: what is left out stays, and so does its author."""

    contact_id: UUID
    note_id: UUID
    content: Content | None = None
    type: NoteType | None = None
    priority: NotePriority | None = None
    pinned: bool | None = None


class DeleteNote(Command[Nothing], key="contacts.note.delete"):
    """Remove a note for good."""

    contact_id: UUID
    note_id: UUID


class _ListNotes(ListQuery[Note]):
    pinned: bool | None = Field(default=None, description="Only those pinned, or only the others.")


class ListContactNotes(_ListNotes, key="contacts.note.list"):
    """The notes about a contact: pinned ones first, then the newest."""

    contact_id: UUID


class ListSessionNotes(_ListNotes, key="contacts.note.of_session"):
    """The notes about a session: pinned ones first, then the newest."""

    session_id: UUID


class NoteAdded(EventData, type="note.added", aggregate="contact", public=True):
    """A note was written about a contact."""

    note: Note


class NoteUpdated(EventData, type="note.updated", aggregate="contact", public=True):
    """A note about a contact was changed; `changed` names the fields."""

    note: Note
    changed: list[bounds.Word]


class NoteDeleted(EventData, type="note.deleted", aggregate="contact", public=True):
    """A note about a contact was removed."""

    note_id: UUID
    contact_id: UUID
    session_id: UUID | None = None
