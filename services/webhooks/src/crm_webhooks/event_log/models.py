"""The table of the domain event log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_webhooks.tables import Base


class LoggedEvent(Base, table=True):
    """A domain event as it was published, for support and audits."""

    __tablename__ = "domain_event_log"
    __table_args__ = (
        Index("idx_domain_event_log_tenant", "tenant_id", "occurred_at"),
        Index("idx_domain_event_log_aggregate", "aggregate_id", "occurred_at"),
        Index("idx_domain_event_log_age", "recorded_at"),
    )

    event_id: UUID = Field(primary_key=True)
    event_type: str = Field(max_length=100)
    aggregate_id: UUID
    aggregate_type: str = Field(max_length=100)
    tenant_id: str = columns.tenant_id()
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    occurred_at: datetime = columns.moment()
    recorded_at: datetime = columns.stamped()
