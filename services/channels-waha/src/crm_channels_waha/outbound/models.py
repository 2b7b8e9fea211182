"""The ledger: what we owe WhatsApp, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_channels_waha.tables import Table, moment_column, now_column, tenant_column


class OutboundMessage(Table, table=True):
    """One message to send, once.

    `state`: `pending` (nothing was sent), `sending` (committed before the request leaves),
    `unknown` (WhatsApp may have it), `sent`, `failed`. `external_id` is WhatsApp's bare id; it is
    set before sending where WAHA lets us choose it. `failures` counts sends proven lost.
    """

    __tablename__ = "outbound_messages"
    __table_args__ = (
        Index("idx_outbound_messages_message", "message_id", unique=True),
        Index(
            "idx_outbound_messages_external",
            "channel_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "idx_outbound_messages_open",
            "channel_id",
            "chat_id",
            "seq",
            postgresql_where=text("state IN ('pending', 'sending', 'unknown')"),
        ),
        Index(
            "idx_outbound_messages_without_id",
            "channel_id",
            "created_at",
            postgresql_where=text("external_id IS NULL"),
        ),
    )

    seq: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    message_id: UUID
    tenant_id: str = Field(sa_column=tenant_column())
    channel_id: UUID
    chat_id: str = Field(sa_column=Column(String(255), nullable=False))
    content_type: str = Field(sa_column=Column(String(50), nullable=False))
    content: str | None = Field(sa_column=Column(Text))
    media_url: str | None = Field(sa_column=Column(Text))
    media_mime_type: str | None = Field(sa_column=Column(String(255)))
    reply_to_external_id: str | None = Field(sa_column=Column(String(255)))
    state: str = Field(
        sa_column=Column(String(20), nullable=False, server_default=text("'pending'"))
    )
    external_id: str | None = Field(sa_column=Column(String(255)))
    attempts: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    failures: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    next_attempt_at: datetime | None = Field(sa_column=moment_column())
    sending_at: datetime | None = Field(sa_column=moment_column())
    reason: str | None = Field(sa_column=Column(Text))
    correlation_id: str | None = Field(sa_column=Column(String(255)))
    causation_id: UUID | None
    trace_context: dict[str, Any] = Field(
        sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb"))
    )
    created_at: datetime = Field(sa_column=now_column())
    updated_at: datetime = Field(sa_column=now_column())
