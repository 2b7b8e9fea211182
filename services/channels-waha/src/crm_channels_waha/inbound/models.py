"""The tables of what came from WAHA."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, String, Text, text
from sqlmodel import Field

from crm_channels_waha.tables import Table, now_column, tenant_column


class RawEvent(Table, table=True):
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
    tenant_id: str = Field(sa_column=tenant_column())
    channel_id: UUID
    event: str = Field(sa_column=Column(String(100), nullable=False))
    outcome: str = Field(sa_column=Column(String(20), nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    received_at: datetime = Field(sa_column=now_column())


class LidRef(Table, table=True):
    """The phone behind a hidden id; `phone` is null while WAHA has not told us.

    Digits only, as WhatsApp reports them. `channel_id` is the channel to ask through.
    """

    __tablename__ = "lid_refs"
    __table_args__ = (
        Index("idx_lid_refs_unresolved", "next_lookup_at", postgresql_where=text("phone IS NULL")),
    )

    tenant_id: str = Field(sa_column=Column(String(255), primary_key=True))
    lid: str = Field(sa_column=Column(String(50), primary_key=True))
    phone: str | None = Field(sa_column=Column(String(50)))
    channel_id: UUID
    lookups: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
    next_lookup_at: datetime = Field(sa_column=now_column())
    created_at: datetime = Field(sa_column=now_column())
