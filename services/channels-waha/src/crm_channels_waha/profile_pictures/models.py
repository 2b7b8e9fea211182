"""The tables of profile pictures."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class ProfilePicture(Base, table=True):
    """The picture of somebody who wrote: a file, or none (docs/waha.md, "Profile pictures").

    `due_at` is when to look; None once that was done, until they write long after `looked_at`.
    """

    __tablename__ = "profile_pictures"
    __table_args__ = (
        Index(
            "idx_profile_pictures_due",
            *("tenant_id", "channel_id", "due_at"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    chat_id: str = Field(primary_key=True, max_length=255)
    channel_id: UUID
    """Through which they wrote."""
    media_id: UUID | None = None
    attempts: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    due_at: datetime | None = columns.maybe_moment()
    looked_at: datetime | None = columns.maybe_moment()


class PicturePace(Base, table=True):
    """When a channel may look at a picture again, whichever process looks."""

    __tablename__ = "picture_paces"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    next_at: datetime = columns.stamped()
