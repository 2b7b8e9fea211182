"""The table of administrative acts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_gateway.tables import Base


def _maybe_document() -> Any:
    return Field(default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True))


class AuditRow(Base, table=True):
    """What somebody did that changes how the company works. The actor's name is kept as it was:
    people are renamed and keys deleted."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("idx_audit_log_tenant", "tenant_id", "id"),
        Index("idx_audit_log_age", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    actor_type: str = Field(max_length=20)
    actor_id: UUID
    actor_name: str = Field(max_length=255)
    action: str = Field(max_length=100)
    target_type: str = Field(max_length=50)
    target_id: UUID | None = Field(default=None)
    outcome: str = Field(max_length=20)
    address: str = Field(max_length=64)
    request_id: str = Field(max_length=255)
    before: dict[str, Any] | None = _maybe_document()
    after: dict[str, Any] | None = _maybe_document()
    created_at: datetime = columns.stamped()
