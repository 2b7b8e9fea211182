"""The table of files."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class MediaRow(Base, table=True):
    """A file: one that came with a message, or one that an agent uploaded (docs/adr/0020).

    `state` is `pending`, `stored` or `failed`, then with a `reason`. What the store knows it by is
    `sha256`; `thumbnail_id` is the file that is a small picture of it. A message's has the channel,
    the chat and WhatsApp's id of the message, WAHA's link and `server`, the host its downloads are
    counted for.
    """

    __tablename__ = "media"
    __table_args__ = (
        Index(
            "idx_media_pending",
            "server",
            "created_at",
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "idx_media_content",
            *("tenant_id", "sha256"),
            postgresql_where=text("sha256 IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    state: str = Field(max_length=20)
    reason: str | None = Field(default=None, max_length=50)
    source: str = Field(max_length=20)
    mime_type: str | None = Field(default=None, max_length=255)
    filename: str | None = Field(default=None, max_length=255)
    size: int | None = Field(default=None, sa_column=Column(BigInteger))
    sha256: str | None = Field(default=None, max_length=64)
    thumbnail_id: UUID | None = None
    channel_id: UUID | None = None
    chat_id: str | None = Field(default=None, max_length=255)
    sender: str | None = Field(default=None, max_length=255)
    """Whose it is, by a WhatsApp id of theirs; None for what we sent."""
    external_id: str | None = Field(default=None, max_length=255)
    content_type: str | None = Field(default=None, max_length=50)
    url: str | None = columns.maybe_text()
    server: str | None = Field(default=None, max_length=255)
    attempts: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    next_at: datetime = columns.stamped()
    correlation_id: str | None = Field(default=None, max_length=255)
    causation_id: UUID | None = None
    trace_context: dict[str, Any] = columns.document()
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
