"""The table of messages that wait for their time."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_messaging.tables import Base


class ScheduledMessage(Base, table=True):
    """A message to be queued at `send_at`: then it moves into the table of messages.

    `status`: `scheduled`, `cancelled`, or `failed` where it could not be queued. The request that
    made it is `correlation_id`.
    """

    __tablename__ = "scheduled_messages"
    __table_args__ = (
        Index(
            "idx_scheduled_messages_due",
            "send_at",
            "id",
            postgresql_where=text("status = 'scheduled'"),
        ),
        Index("idx_scheduled_messages_tenant", "tenant_id", "status", "send_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID
    conversation_id: UUID | None = None
    """A group's. Which one a person's message joins shows when it is queued."""
    channel_id: UUID
    content_type: str = Field(max_length=50)
    content: str | None = columns.maybe_text()
    media_id: UUID | None = None
    media_url: str | None = columns.maybe_text()
    media_mime_type: str | None = Field(default=None, max_length=255)
    reply_to_id: UUID | None = None
    metadata_: dict[str, Any] = columns.document("metadata")
    status: str = Field(max_length=50)
    sent_by: UUID | None = None
    send_at: datetime = columns.moment()
    expires_at: datetime | None = columns.maybe_moment()
    fail_if_offline: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    failed_at: datetime | None = columns.maybe_moment()
    failure_reason: str | None = columns.maybe_text()
    correlation_id: str | None = Field(default=None, max_length=255)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
