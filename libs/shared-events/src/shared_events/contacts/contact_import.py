"""Imports: contacts from a file, a job."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import EventData
from shared_events.jobs import FilePart, Job, JobAction
from shared_events.requests import Command, Nothing, Query

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_ROWS = 200_000
PART_BYTES = 192 * 1024
"""Of a file, as it travels to the service: a quarter of a megabyte once it is written in base64."""

UpsertKey = Literal["phone", "email"]
"""By which column a row finds the contact it is about."""

Header = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Target = Annotated[
    str,
    StringConstraints(
        max_length=80,
        pattern=r"^(name|phone|email|tags|language|timezone|custom_fields\.[A-Za-z][\w-]{0,63})$",
    ),
]
"""What a column says of a contact."""
Mapping = Annotated[dict[Header, Target | None], Field(max_length=200)]
"""The columns of a file by their headers; null leaves one out."""

_Base64 = Annotated[str, StringConstraints(max_length=PART_BYTES // 3 * 4, pattern=r"^[\w+/=-]*$")]
_Digest = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9a-f]{64}$")]


class ContactImport(Job):
    """A file that becomes contacts. Of a dry run the counts say what would happen."""

    filename: bounds.FileName
    upsert_key: bounds.Word
    dry_run: bool
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    ignored_columns: list[bounds.Name] = Field(default_factory=list)


class PutImportPart(Command[Nothing], key="contacts.import.put"):
    """Bring a piece of the file an import will be made of; the same one again replaces it."""

    import_id: UUID
    position: int = Field(ge=0, le=MAX_FILE_BYTES // PART_BYTES)
    content: _Base64


class CreateImport(Command[ContactImport], key="contacts.import.create"):
    """Import contacts from a CSV or XLSX file, whose pieces have been brought.

    A row is about the contact that has its phone or e-mail (`upsert_key`), or about a new one. It
    says something of a contact where a cell has something in it; an empty one leaves all as it was.
    """

    import_id: UUID
    size: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: _Digest
    filename: bounds.FileName = "contacts.csv"
    upsert_key: UpsertKey = "phone"
    mapping: Mapping | None = Field(
        default=None, description="Target of each column; without it the headers say it."
    )
    dry_run: bool = Field(default=False, description="Say what would happen, and do nothing.")


class GetImport(Query[ContactImport], key="contacts.import.get"):
    """How far an import is."""

    import_id: UUID


class DriveImport(Command[ContactImport], key="contacts.import.drive"):
    """Hold an import, let it go on, or end it. Rows that were imported stay so."""

    import_id: UUID
    action: JobAction


class ReadImportErrors(Query[FilePart], key="contacts.import.errors"):
    """What was wrong with rows, as CSV: line, column, code, message."""

    import_id: UUID
    cursor: int = Field(default=0, ge=0)


class ImportProgressed(EventData, type="import.progressed", aggregate="import", public=True):
    """An import began, got a tenth further, changed its state, or ended."""

    job: ContactImport
