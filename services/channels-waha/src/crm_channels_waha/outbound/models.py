"""The ledger: what we owe WhatsApp, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Identity, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class OutboundMessage(Base, table=True):
    """One message to send, once.

    `state`: `pending` (nothing was sent), `sending` (committed before the request leaves),
    `unknown` (WhatsApp may have it), `sent`, `failed`. `external_id` is WhatsApp's bare id; it is
    set before sending where WAHA lets us choose it. `failures` counts sends proven lost. `details`
    hold what is neither text nor file: a `location`, `contacts`, a `poll`, whom it `mentions`.
    `chat_id` is the chat it was queued for. One that is not `proved`, WhatsApp has never shown: its
    number is looked up first, and `address` is the chat as WhatsApp writes it, if it is another.
    `message_version` is the message's when it was queued: one that failed may be queued once more.
    What is sent in `bulk` lets the rest go first.

    A change to a message that is there is an entry too, in its chat's order: `content_type` is
    `edit`, `revoke` or `reaction`, `message_id` the request's and `target_id` our message's. It has
    no `external_id` of its own.
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
            "idx_outbound_messages_unnamed",
            "channel_id",
            "chat_id",
            "sending_at",
            postgresql_where=text("external_id IS NULL"),
        ),
        Index(
            "idx_outbound_messages_target",
            "channel_id",
            "target_external_id",
            postgresql_where=text("target_external_id IS NOT NULL"),
        ),
        Index(
            "idx_outbound_messages_expiring",
            "expires_at",
            postgresql_where=text("state = 'pending' AND expires_at IS NOT NULL"),
        ),
    )

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    message_id: UUID
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    chat_id: str = Field(max_length=255)
    proved: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    address: str | None = Field(default=None, max_length=255)
    content_type: str = Field(max_length=50)
    content: str | None = columns.maybe_text()
    media_id: UUID | None = None
    media_url: str | None = columns.maybe_text()
    media_mime_type: str | None = Field(default=None, max_length=255)
    details: dict[str, Any] = columns.document()
    reply_to_external_id: str | None = Field(default=None, max_length=255)
    target_id: UUID | None = None
    target_external_id: str | None = Field(default=None, max_length=255)
    target_from_us: bool | None = None
    target_participant: str | None = Field(default=None, max_length=255)
    state: str = Field(
        default="pending", max_length=20, sa_column_kwargs={"server_default": text("'pending'")}
    )
    external_id: str | None = Field(default=None, max_length=255)
    attempts: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    bulk: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    message_version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    failures: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    expires_at: datetime | None = columns.maybe_moment()
    next_attempt_at: datetime | None = columns.maybe_moment()
    sending_at: datetime | None = columns.maybe_moment()
    reason: str | None = columns.maybe_text()
    correlation_id: str | None = Field(default=None, max_length=255)
    causation_id: UUID | None = None
    trace_context: dict[str, Any] = columns.document()
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()

    @property
    def sent_to(self) -> str:
        """The chat to name to WAHA."""
        return self.address or self.chat_id
