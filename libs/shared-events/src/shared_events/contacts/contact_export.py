"""Exports: contacts as a file, a job."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.contacts.contact import Tag
from shared_events.envelope import EventData
from shared_events.jobs import FilePart, Job
from shared_events.requests import Command, Given, Moment, Query

ExportKind = Literal["contacts"]
ExportFormat = Literal["csv", "jsonl"]


class ExportFilter(Given):
    """Which contacts, as `GET /contacts` finds them."""

    search: str | None = Field(default=None, min_length=1, max_length=200)
    pipeline_id: UUID | None = None
    pipeline_status_id: UUID | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")


class ContactExport(Job):
    """Contacts that become a file. `masked`: phones and e-mails show their ends only.

    The file is there once the state is `completed`, and until `expires_at`.
    """

    format: bounds.Word
    masked: bool
    expires_at: datetime


class CreateExport(Command[ContactExport], key="contacts.export.create"):
    """Write contacts to a file: all, those a filter finds, or those on a list.

    Who may not `contacts.export` gets phones and e-mails masked.
    """

    export_kind: ExportKind = Field(default="contacts", alias="kind")
    format: ExportFormat = "csv"
    filters: ExportFilter = Field(default_factory=ExportFilter)
    contact_list_id: UUID | None = Field(
        default=None, description="A list instead of filters; only one of them may be given."
    )


class GetExport(Query[ContactExport], key="contacts.export.get"):
    """How far an export is."""

    export_id: UUID


class ReadExport(Query[FilePart], key="contacts.export.read"):
    """The file of an export."""

    export_id: UUID
    cursor: int = Field(default=0, ge=0)


class ExportProgressed(EventData, type="export.progressed", aggregate="export", public=True):
    """An export began, or ended."""

    job: ContactExport
