"""The tables of jobs, and of the pieces of the files they read and write."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from service_kit.jobs.models import JobColumns, due_index, finished_index
from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field

from crm_contacts.tables import Base


class Job(JobColumns, Base, table=True):
    """An import or an export, and how far it is.

    `position` is the next batch, `cursor` where an export's list goes on.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("idx_jobs_tenant", "tenant_id", "kind", "id"),
        due_index("jobs"),
        finished_index("jobs"),
    )

    kind: str = Field(max_length=50)
    options: dict[str, Any] = columns.document()
    counts: dict[str, Any] = columns.document()
    position: int = 0
    cursor: str | None = columns.maybe_text()
    created_by: UUID | None = None


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
