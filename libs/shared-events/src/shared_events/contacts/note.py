"""Notes: what agents write down about a contact, for each other."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, ListQuery, Query

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
    content: Annotated[str, StringConstraints(max_length=10_000)]
    type: bounds.Word
    priority: bounds.Word
    pinned: bool
    author_id: UUID | None = None
    author_type: AuthorType
    version: int
    created_at: datetime
    updated_at: datetime


class CreateNote(Command[Note], key="contacts.note.create"):
    """Write a note about a contact, in the caller's name."""

    contact_id: UUID
    content: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    type: NoteType = "general"
    priority: NotePriority = "normal"
    pinned: bool = False


class GetNote(Query[Note], key="contacts.note.get"):
    """Read one note about a contact."""

    contact_id: UUID
    note_id: UUID


class ListContactNotes(ListQuery[Note], key="contacts.note.list"):
    """The notes about a contact, newest first."""

    contact_id: UUID
    pinned: bool | None = Field(default=None, description="Only those pinned, or only the others.")


class NoteAdded(EventData, type="note.added", aggregate="contact", public=True):
    """A note was written about a contact."""

    note: Note
