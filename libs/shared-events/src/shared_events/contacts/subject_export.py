"""Subject exports: all that is kept about one person, in one archive, a job (docs/adr/0021)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import EventData
from shared_events.jobs import FilePart, Job
from shared_events.requests import Command, Query

SubjectFile = Literal["contact", "notes", "timeline", "trackings", "moves", "lists", "opt_outs"]
"""What contacts keeps about a person, by file of the archive."""


class SubjectExport(Job):
    """An archive of all that is kept about a contact. Once the state is `completed`, and until
    `expires_at`, `url` leads to it for a while, without a login; ask again for another.
    """

    contact_id: UUID
    url: bounds.Url | None = None
    expires_at: datetime


class CreateSubjectExport(Command[SubjectExport], key="contacts.subject.create_export"):
    """Gather all that is kept about a contact, for the person it is about; nothing is masked."""

    contact_id: UUID


class GetSubjectExport(Query[SubjectExport], key="contacts.subject.get_export"):
    """How far a subject export is, with a new link to its archive."""

    export_id: UUID


class ReadSubjectExport(Query[FilePart], key="contacts.subject.read_export"):
    """Download the archive of a subject export by a signed link: JSON, and the files it names."""

    export_id: UUID
    file: SubjectFile = "contact"
    cursor: int = Field(default=0, ge=0, lt=2**31)


class SubjectExportStarted(EventData, type="subject.export_started", aggregate="contact"):
    """Whoever keeps something about the contact is to gather it, and to say so."""

    export_id: UUID
    contact_id: UUID
    expires_at: datetime


class SubjectExportProgressed(
    EventData, type="subject.export_progressed", aggregate="subject_export", public=True
):
    """A subject export began, ended, or is a tenth further; the link to it is not told."""

    job: SubjectExport
