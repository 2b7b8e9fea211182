"""The tables of jobs, and of the pieces of the files they read and write."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, LargeBinary, text
from sqlmodel import Field

from crm_contacts.tables import Base

_AT_WORK = text("state IN ('queued', 'running')")


class Job(Base, table=True):
    """An import or an export, and how far it is.

    `position` is the next batch, `cursor` where an export's list goes on; at `due_at` somebody
    looks whether the job is still being worked on.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("idx_jobs_tenant", "tenant_id", "kind", "id"),
        Index("idx_jobs_due", "due_at", postgresql_where=_AT_WORK),
        Index("idx_jobs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    kind: str = Field(max_length=50)
    state: str = Field(max_length=50)
    options: dict[str, Any] = columns.document()
    done: int = 0
    total: int | None = None
    errors: int = 0
    counts: dict[str, Any] = columns.document()
    position: int = 0
    cursor: str | None = columns.maybe_text()
    failure: dict[str, Any] = columns.document()
    created_by: UUID | None = None
    correlation_id: str = Field(max_length=255)
    due_at: datetime = columns.moment()
    version: int = 1
    created_at: datetime = columns.moment()
    updated_at: datetime = columns.moment()
    finished_at: datetime | None = columns.maybe_moment()


class JobPart(Base, table=True):
    """A piece of a file: one that was uploaded, rows that were read of it, or what came out."""

    __tablename__ = "job_parts"
    __table_args__ = (Index("idx_job_parts_expiry", "expires_at"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    job_id: UUID = Field(primary_key=True)
    file: str = Field(primary_key=True, max_length=50)
    position: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires_at: datetime = columns.moment()
