"""The table of calls."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index
from sqlmodel import Field

from crm_messaging.tables import Base


class CallRow(Base, table=True):
    """A call and the steps that were reported of it, so that each is told once.

    `external_id` is WhatsApp's. Kept for seven days: nobody reports an older one.
    """

    __tablename__ = "calls"
    __table_args__ = (
        Index("idx_calls_external_id", "tenant_id", "channel_id", "external_id", unique=True),
        Index("idx_calls_contact", "tenant_id", "contact_id"),
        Index("idx_calls_age", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    external_id: str = Field(max_length=255)
    contact_id: UUID
    status: str = Field(max_length=20)
    is_video: bool
    received_at: datetime | None = columns.maybe_moment()
    accepted_at: datetime | None = columns.maybe_moment()
    rejected_at: datetime | None = columns.maybe_moment()
    created_at: datetime = columns.stamped()
