"""The tables of groups that are looked up."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class GroupLook(Base, table=True):
    """A group of a channel, and when what it is called was looked up, or told by WAHA.

    `due_at` is when to look; None once that was done, until somebody writes there long after
    `looked_at`.
    """

    __tablename__ = "group_looks"
    __table_args__ = (
        Index(
            "idx_group_looks_due",
            *("tenant_id", "channel_id", "due_at"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    chat_id: str = Field(primary_key=True, max_length=255)
    attempts: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    due_at: datetime | None = columns.maybe_moment()
    looked_at: datetime | None = columns.maybe_moment()


class GroupPace(Base, table=True):
    """When a channel may look at a group again, whichever process looks."""

    __tablename__ = "group_paces"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    next_at: datetime = columns.stamped()
