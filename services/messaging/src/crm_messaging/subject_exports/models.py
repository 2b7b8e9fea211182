"""Tables of subject exports: how far messaging's part is, and the pieces of its files."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field

from crm_messaging.tables import Base


class SubjectExport(Base, table=True):
    """A part of a subject export, from when it was told of until it expires.

    `file` is what is gathered next, behind `cursor`; none when all is. The request that asked for
    it is `correlation_id`.
    """

    __tablename__ = "subject_exports"
    __table_args__ = (
        Index("idx_subject_exports_due", "due_at", postgresql_where=text("file IS NOT NULL")),
        Index("idx_subject_exports_expiry", "expires_at"),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    export_id: UUID = Field(primary_key=True)
    contact_id: UUID
    file: str | None = Field(default=None, max_length=50)
    cursor: str | None = columns.maybe_text()
    position: int = 0
    done: int = 0
    total: int | None = None
    correlation_id: str | None = Field(default=None, max_length=255)
    causation_id: UUID | None = None
    due_at: datetime = columns.moment()
    expires_at: datetime = columns.moment()


class SubjectExportPart(Base, table=True):
    """A piece of a file: entries about the person, a line of JSON each."""

    __tablename__ = "subject_export_parts"
    __table_args__ = (Index("idx_subject_export_parts_expiry", "expires_at"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    export_id: UUID = Field(primary_key=True)
    file: str = Field(primary_key=True, max_length=50)
    position: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires_at: datetime = columns.moment()
