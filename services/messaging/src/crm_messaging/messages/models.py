"""Tables of messages and of receipts that came before their message."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Computed, DateTime, Identity, Index, text
from sqlmodel import Field

from crm_messaging.tables import Base

_NONE = {"server_default": text("0")}


class Message(Base, table=True):
    """One chat message. `sent_at` is WhatsApp's time, `seq` its place in the conversation.

    Conversations are listed by `seq`, everything else by `placed_at`: neither ever changes, but
    while an update rolls. Only the release before conversations reads `said_at`, and the first two
    indexes with it; what that release stores has no conversation until it is given one
    (`messages/strays`).
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
        # With the company, or the planner joins it with an index of all the company's messages.
        Index("idx_messages_numbered", "tenant_id", "conversation_id", "seq", unique=True),
        Index(
            "idx_messages_stray",
            *("tenant_id", "session_id", "seq"),
            postgresql_where=text("conversation_id IS NULL"),
        ),
        *(
            Index(f"idx_messages_placed{name}", "tenant_id", *of, "placed_at", "seq", "id")
            for name, of in (
                ("", ()),
                ("_session", ("session_id",)),
                ("_contact", ("contact_id",)),
                ("_channel", ("channel_id",)),
            )
        ),
        Index(
            "idx_messages_placed_failed",
            *("tenant_id", "placed_at", "seq", "id"),
            postgresql_where=text("status = 'failed'"),
        ),
        Index(
            "idx_messages_placed_type",
            *("tenant_id", "content_type", "placed_at", "seq", "id"),
            postgresql_where=text("content_type <> 'text'"),
        ),
        Index(
            "idx_messages_words",
            *("tenant_id", text("messaging.words_of(content)")),
            postgresql_using="gin",
            postgresql_ops={"tenant_id": "extensions.varchar_ops"},
            postgresql_where=text("content IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID
    session_id: UUID = Field(foreign_key="messaging.sessions.id")
    conversation_id: UUID | None = None
    channel_id: UUID
    chat_id: str = Field(max_length=255)
    external_id: str | None = Field(default=None, max_length=255)
    seq: int
    direction: str = Field(max_length=20)
    origin: str = Field(max_length=20)
    content_type: str = Field(max_length=50)
    content: str | None = columns.maybe_text()
    media_id: UUID | None = None
    media_url: str | None = columns.maybe_text()
    media_mime_type: str | None = Field(default=None, max_length=255)
    reply_to_id: UUID | None = None
    metadata_: dict[str, Any] = columns.document("metadata")
    status: str = Field(max_length=50)
    sent_by: UUID | None = None
    send_at: datetime | None = columns.maybe_moment()
    expires_at: datetime | None = columns.maybe_moment()
    sent_at: datetime | None = columns.maybe_moment()
    said_at: datetime | None = Field(
        default=None,
        sa_column=Column(
            DateTime(timezone=True), Computed("COALESCE(sent_at, created_at)", persisted=True)
        ),
    )
    placed_at: datetime = columns.stamped()
    delivered_at: datetime | None = columns.maybe_moment()
    read_at: datetime | None = columns.maybe_moment()
    played_at: datetime | None = columns.maybe_moment()
    failed_at: datetime | None = columns.maybe_moment()
    failure_reason: str | None = columns.maybe_text()
    delivered_count: int = Field(default=0, sa_column_kwargs=_NONE)
    read_count: int = Field(default=0, sa_column_kwargs=_NONE)
    played_count: int = Field(default=0, sa_column_kwargs=_NONE)
    """How many members of a group it got to."""
    historical: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Read from the chat's history: never unread (docs/adr/0024-history.md)."""
    revoked_at: datetime | None = columns.maybe_moment()
    edited_at: datetime | None = columns.maybe_moment()
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()


class MessageReceipt(Base, table=True):
    """How far a message of ours got with one member of a group; in a chat of two it says so itself.

    `participant` is the member's WhatsApp id, in the one form that its aliases share.
    """

    __tablename__ = "message_receipts"

    message_id: UUID = Field(primary_key=True)
    participant: str = Field(primary_key=True, max_length=120)
    tenant_id: str = columns.tenant_id()
    delivered_at: datetime | None = columns.maybe_moment()
    read_at: datetime | None = columns.maybe_moment()
    played_at: datetime | None = columns.maybe_moment()


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

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    external_id: str = Field(max_length=255)
    status: str = Field(max_length=50)
    participant: str | None = Field(default=None, max_length=255)
    error_code: str | None = Field(default=None, max_length=255)
    occurred_at: datetime = columns.moment()
    created_at: datetime = columns.stamped()
