"""The tables of pipelines, of their statuses, and of where contacts have been."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_contacts.tables import Base


class Pipeline(Base, table=True):
    """A way contacts go. Whoever changes one of its statuses holds its lock."""

    __tablename__ = "pipelines"
    __table_args__ = (Index("idx_pipelines_tenant", "tenant_id", "position", "id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    description: str | None = Field(default=None, max_length=1000)
    color: str | None = Field(default=None, max_length=7)
    position: int
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class PipelineStatus(Base, table=True):
    """One step of a pipeline; positions count from 0 without gaps."""

    __tablename__ = "pipeline_statuses"
    __table_args__ = (
        Index("idx_pipeline_statuses_pipeline", "tenant_id", "pipeline_id", "name", unique=True),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    pipeline_id: UUID = Field(foreign_key="contacts.pipelines.id")
    name: str = Field(max_length=255)
    type: str = Field(max_length=50)
    color: str | None = Field(default=None, max_length=7)
    position: int
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()


class ContactPipelineStatus(Base, table=True):
    """A stay of a contact at a place, open while `left_at` is empty; there is one open at most.

    It keeps the names of its time, and no foreign key but the contact's: it outlives its status.
    """

    __tablename__ = "contact_pipeline_statuses"
    __table_args__ = (
        Index("idx_contact_pipeline_statuses_contact", "tenant_id", "contact_id", "id"),
        Index(
            "idx_contact_pipeline_statuses_open",
            "tenant_id",
            "contact_id",
            unique=True,
            postgresql_where=text("left_at IS NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID = Field(foreign_key="contacts.contacts.id")
    pipeline_id: UUID
    pipeline_name: str | None = Field(default=None, max_length=255)
    status_id: UUID | None = None
    status_name: str | None = Field(default=None, max_length=255)
    entered_at: datetime = columns.moment()
    left_at: datetime | None = columns.maybe_moment()
    moved_by: UUID | None = None
    reason: str | None = Field(default=None, max_length=1000)
