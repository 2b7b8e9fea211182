"""The tables of what came from WAHA."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class RawEvent(Base, table=True):
    """A WAHA event that became no domain event, kept byte for byte: nothing is lost.

    `outcome` is `ignored` (nobody's conversation), `unhandled` (a kind we make nothing of, or an
    unknown channel) or `unreadable`.
    """

    __tablename__ = "raw_events"
    __table_args__ = (
        Index("idx_raw_events_channel", "tenant_id", "channel_id", "received_at"),
        Index("idx_raw_events_age", "received_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    event: str = Field(max_length=100)
    outcome: str = Field(max_length=20)
    reason: str = columns.text()
    body: bytes
    received_at: datetime = columns.stamped()
    replayed_at: datetime | None = columns.maybe_moment()
    """When a newer translation made a domain event of it after all."""


class LidRef(Base, table=True):
    """The phone behind a hidden id; `phone` is null while WAHA has not told us.

    Digits only, as WhatsApp reports them. `channel_id` is the channel to ask through.
    """

    __tablename__ = "lid_refs"
    __table_args__ = (
        Index("idx_lid_refs_unresolved", "next_lookup_at", postgresql_where=text("phone IS NULL")),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    lid: str = Field(primary_key=True, max_length=50)
    phone: str | None = Field(default=None, max_length=50)
    channel_id: UUID
    lookups: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    next_lookup_at: datetime = columns.stamped()
    created_at: datetime = columns.stamped()
