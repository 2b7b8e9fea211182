"""Tables of what became of messages after they were said."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, text
from sqlmodel import Field

from crm_messaging.tables import Base


class MessageVersion(Base, table=True):
    """What a message said from `since` on; the first is what it said originally.

    There are none while its text was never replaced. `edit_id` is WhatsApp's id of the edit, and
    empty for the first.
    """

    __tablename__ = "message_versions"

    message_id: UUID = Field(primary_key=True)
    since: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    edit_id: str = Field(primary_key=True, max_length=255)
    tenant_id: str = columns.tenant_id()
    content: str | None = columns.maybe_text()
    created_at: datetime = columns.stamped()


class MessageReaction(Base, table=True):
    """Somebody's reaction to a message; `emoji` is empty after it was taken away.

    `sender` is `us`, `customer`, or a group's participant. `before` is what an agent's reaction,
    by the request `change_id`, took the place of.
    """

    __tablename__ = "message_reactions"

    message_id: UUID = Field(primary_key=True)
    sender: str = Field(primary_key=True, max_length=120)
    tenant_id: str = columns.tenant_id()
    emoji: str = Field(max_length=50)
    by: str = Field(max_length=50)
    agent_id: UUID | None = None
    participant: str | None = Field(default=None, max_length=120)
    change_id: UUID | None = None
    before: str = Field(default="", max_length=50, sa_column_kwargs={"server_default": text("''")})
    reacted_at: datetime = columns.moment()


class MessageVote(Base, table=True):
    """What somebody chooses of a poll by now; `options` are empty after that was withdrawn.

    `sender` is as of a reaction.
    """

    __tablename__ = "message_votes"

    message_id: UUID = Field(primary_key=True)
    sender: str = Field(primary_key=True, max_length=120)
    tenant_id: str = columns.tenant_id()
    options: list[str] = columns.texts()
    by: str = Field(max_length=50)
    participant: str | None = Field(default=None, max_length=120)
    voted_at: datetime = columns.moment()


class ParkedChange(Base, table=True):
    """A change whose message is not here yet; kept for seven days, once however often it comes.

    `kind` is `edit`, `reaction` or `vote`, `content` the text, the emoji or the options as JSON,
    `change_id` with the time what makes it the same change when it comes again, and `author` the
    WhatsApp ids of who made it.
    """

    __tablename__ = "parked_changes"
    __table_args__ = (
        Index(
            "idx_parked_changes_message",
            *("channel_id", "external_id", "kind", "change_id", "occurred_at"),
            unique=True,
        ),
        Index("idx_parked_changes_age", "created_at"),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    external_id: str = Field(max_length=255)
    kind: str = Field(max_length=20)
    change_id: str = Field(max_length=255)
    from_us: bool
    author: dict[str, Any] = columns.document()
    content: str = columns.text()
    occurred_at: datetime = columns.moment()
    created_at: datetime = columns.stamped()
