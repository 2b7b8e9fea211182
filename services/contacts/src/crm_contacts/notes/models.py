"""The table of notes."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_contacts.tables import Base


class Note(Base, table=True):
    """What somebody wrote down about a contact; nobody is its author where the system is."""

    __tablename__ = "notes"
    __table_args__ = (
        Index("idx_notes_contact", "tenant_id", "contact_id", "id"),
        Index("idx_notes_contact_pinned", "tenant_id", "contact_id", "pinned", "id"),
        Index(
            "idx_notes_session",
            "tenant_id",
            "session_id",
            "pinned",
            "id",
            postgresql_where=text("session_id IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID = Field(foreign_key="contacts.contacts.id")
    session_id: UUID | None = None
    content: str = columns.text()
    type: str = Field(max_length=50)
    priority: str = Field(max_length=50)
    pinned: bool
    author_id: UUID | None = None
    author_type: str = Field(max_length=50)
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()
