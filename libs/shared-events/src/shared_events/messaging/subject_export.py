"""Messaging's part of subject exports (docs/adr/0021)."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events.envelope import EventData
from shared_events.jobs import FilePart
from shared_events.requests import Query

SubjectMessagesFile = Literal[
    "conversations", "labels", "sessions", "scheduled", "messages", "media"
]
"""What messaging keeps about a person, by file of the archive. `media` names the others' files."""


class ReadSubjectMessages(Query[FilePart], key="messaging.subject.read_export"):
    """What was said with a person, piece by piece."""

    export_id: UUID
    file: SubjectMessagesFile
    cursor: int = Field(default=0, ge=0, lt=2**31)


class SubjectMessagesGathered(EventData, type="subject.export_gathered", aggregate="contact"):
    """So many entries about the contact were gathered, of so many that were there to begin with."""

    export_id: UUID
    contact_id: UUID
    done: int
    total: int
    complete: bool
