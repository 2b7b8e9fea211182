"""Tables of messages and of receipts that came before their message."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Computed, DateTime, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_messaging.schema import Base

_NOW = {"server_default": text("now()")}


class Message(Base, table=True):
    """One chat message. `sent_at` is WhatsApp's time, `seq` its place in the session.

    `said_at` orders lists. It is a column because row-level security keeps an expression over
    COALESCE out of every index.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("idx_messages_session", "session_id", "sent_at"),
        Index("idx_messages_contact", "contact_id", text("sent_at DESC")),
        Index(
            "idx_messages_external_id",
            "channel_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("idx_messages_tenant", "tenant_id", "said_at", "seq", "id"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(max_length=255)
    contact_id: UUID
    session_id: UUID = Field(foreign_key="messaging.sessions.id")
    channel_id: UUID
    chat_id: str = Field(max_length=255)
    external_id: str | None = Field(default=None, max_length=255)
    seq: int
    direction: str = Field(max_length=20)
    origin: str = Field(max_length=20)
    content_type: str = Field(max_length=50)
    content: str | None = Field(default=None, sa_type=Text)
    media_url: str | None = Field(default=None, sa_type=Text)
    media_mime_type: str | None = Field(default=None, max_length=255)
    reply_to_id: UUID | None = None
    metadata_: dict[str, Any] = Field(
        default_factory=dict,
        sa_column=Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    )
    status: str = Field(max_length=50)
    sent_by: UUID | None = None
    sent_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    said_at: datetime = Field(
        sa_column=Column(
            DateTime(timezone=True), Computed("COALESCE(sent_at, created_at)", persisted=True)
        )
    )
    delivered_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    read_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    played_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    failed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    failure_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)
    updated_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)


class ParkedReceipt(Base, table=True):
    """A receipt whose message is not here yet; kept for seven days, once however often it comes."""

    __tablename__ = "parked_receipts"
    __table_args__ = (
        Index(
            "idx_parked_receipts_message",
            *("channel_id", "external_id", "status", "participant"),
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("idx_parked_receipts_age", "created_at"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    tenant_id: str = Field(max_length=255)
    channel_id: UUID
    external_id: str = Field(max_length=255)
    status: str = Field(max_length=50)
    participant: str | None = Field(default=None, max_length=255)
    error_code: str | None = Field(default=None, max_length=255)
    occurred_at: datetime = Field(sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)


TABLE = Base.metadata.tables["messaging.messages"]
