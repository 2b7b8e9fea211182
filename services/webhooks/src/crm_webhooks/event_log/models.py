"""The table of the domain event log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_webhooks.models import Base, key, moment, stamped, tenant, uuid


class LoggedEvent(Base, table=True):
    """A domain event as it was published, for support and audits."""

    __tablename__ = "domain_event_log"
    __table_args__ = (
        Index("idx_domain_event_log_tenant", "tenant_id", "occurred_at"),
        Index("idx_domain_event_log_aggregate", "aggregate_id", "occurred_at"),
        Index("idx_domain_event_log_age", "recorded_at"),
    )

    event_id: UUID = Field(sa_column=key())
    event_type: str = Field(sa_column=Column(String(100), nullable=False))
    aggregate_id: UUID = Field(sa_column=uuid())
    aggregate_type: str = Field(sa_column=Column(String(100), nullable=False))
    tenant_id: str = Field(sa_column=tenant())
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    occurred_at: datetime = Field(sa_column=moment(nullable=False))
    recorded_at: datetime = Field(sa_column=stamped())
