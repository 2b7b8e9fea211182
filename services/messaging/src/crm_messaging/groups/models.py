"""The table of who is in groups."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index
from sqlmodel import Field

from crm_messaging.tables import Base


class ConversationParticipant(Base, table=True):
    """Somebody who is in a group, or was; whose contact it is, `identity_refs` says.

    `participant` is the WhatsApp id in the one form that its aliases share, the phone's where it is
    known; `lid` is then the hidden one beside it. `changed_at` is when the newest was told that
    counts: reports come out of order.
    """

    __tablename__ = "conversation_participants"
    __table_args__ = (Index("idx_conversation_participants_lid", "conversation_id", "lid"),)

    conversation_id: UUID = Field(primary_key=True)
    participant: str = Field(primary_key=True, max_length=120)
    tenant_id: str = columns.tenant_id()
    lid: str | None = Field(default=None, max_length=120)
    role: str | None = Field(default=None, max_length=50)
    joined_at: datetime = columns.moment()
    left_at: datetime | None = columns.maybe_moment()
    changed_at: datetime = columns.moment()
