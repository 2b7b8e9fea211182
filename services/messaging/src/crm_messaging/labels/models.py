"""Tables of labels on chats."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from crm_messaging.tables import Base


class LabelRef(Base, table=True):
    """A label of a channel, as conversations show it.

    `seq` is the newest event applied; 0 means learned from a chat.
    """

    __tablename__ = "label_refs"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    label_id: str = Field(primary_key=True, max_length=50)
    name: str | None = Field(default=None, max_length=255)
    color: str | None = Field(default=None, max_length=20)
    deleted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class ChatLabel(Base, table=True):
    """A label on the chat with somebody, by their WhatsApp id, or on a group; or that it is not.

    Whose chat it is, `identity_refs` says, so that nothing moves when people turn out to be one. Of
    several chats with one contact the newest word counts.
    """

    __tablename__ = "chat_labels"
    __table_args__ = (
        Index(
            "idx_chat_labels_label",
            *("tenant_id", "channel_id", "label_id"),
            postgresql_where=text("labelled"),
        ),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    kind: str = Field(primary_key=True, max_length=20)
    canonical: str = Field(primary_key=True, max_length=255)
    channel_id: UUID = Field(primary_key=True)
    label_id: str = Field(primary_key=True, max_length=50)
    labelled: bool
    changed_at: datetime = columns.moment()
