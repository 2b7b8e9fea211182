"""Table of conversations."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_messaging.tables import Base

_FIRST = {"server_default": text("0")}


class Conversation(Base, table=True):
    """What is said with a contact on a channel, or in a group (docs/adr/0019-conversations.md).

    `seq` is the place of its last message, `read_seq` that of the last one somebody has read. A
    group has no contact: its messages are of whoever wrote them.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        # Each message moves last_message_at, and writes every index it stands in.
        Index("idx_conversations_newest", "tenant_id", "last_message_at", "id"),
        Index("idx_conversations_channel", "tenant_id", "channel_id", "last_message_at", "id"),
        Index("idx_conversations_contact", "tenant_id", "contact_id"),
        Index(
            "idx_conversations_assigned",
            *("tenant_id", "assigned_agent_id", "last_message_at", "id"),
            postgresql_where=text("assigned_agent_id IS NOT NULL"),
        ),
        Index(
            "idx_conversations_unread",
            *("tenant_id", "last_message_at", "id"),
            postgresql_where=text("unread_count > 0"),
        ),
        Index(
            "idx_conversations_active",
            *("tenant_id", "last_message_at", "id"),
            postgresql_where=text("status = 'active'"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    contact_id: UUID | None = None
    is_group: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    chat_id: str | None = Field(default=None, max_length=255)
    """A group's; a person is written to where its session says."""
    subject: str | None = Field(default=None, max_length=255)
    subject_at: datetime | None = columns.maybe_moment()
    """When that was told: reports of groups come out of order."""
    seq: int = Field(default=0, sa_column_kwargs=_FIRST)
    read_seq: int = Field(default=0, sa_column_kwargs=_FIRST)
    unread_count: int = Field(default=0, sa_column_kwargs=_FIRST)
    last_message_at: datetime = columns.stamped()
    """When its last message was stored: no clock but ours orders the inbox."""
    session_id: UUID | None = None
    status: str | None = Field(default=None, max_length=50)
    """Its newest session's."""
    assigned_agent_id: UUID | None = None
    """Who has that session while it is active."""
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
