"""The table of channels."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, SmallInteger, String, Text, text
from sqlmodel import Field

from crm_channels_waha.tables import SCHEMA, Table, moment_column, now_column, tenant_column


class ChannelRow(Table, table=True):
    """A connected number.

    `waha_status` is WAHA's own word and `waha_status_at` WAHA's time of it, so that reports which
    arrive out of order change nothing. `version` counts changes of the settings only.
    """

    __tablename__ = "channels"
    __table_args__ = (
        Index("idx_channels_tenant", "tenant_id", "id"),
        Index(
            "idx_channels_waha_session",
            "tenant_id",
            "waha_base_url",
            "waha_session",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "idx_channels_starting",
            "updated_at",
            postgresql_where=text("waha_status = 'STARTING' AND status = 'connected'"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(sa_column=tenant_column())
    name: str = Field(sa_column=Column(String(255), nullable=False))
    type: str = Field(sa_column=Column(String(50), nullable=False))
    status: str = Field(sa_column=Column(String(50), nullable=False))
    status_reason: str | None = Field(sa_column=Column(Text))
    phone: str | None = Field(sa_column=Column(String(50)))
    waha_base_url: str = Field(sa_column=Column(Text, nullable=False))
    waha_session: str = Field(sa_column=Column(String(54), nullable=False))
    waha_api_key_encrypted: str = Field(sa_column=Column(Text, nullable=False))
    key_generation: int = Field(
        sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    session_timeout_seconds: int
    allow_groups: bool
    engine: str | None = Field(sa_column=Column(String(50)))
    waha_status: str | None = Field(sa_column=Column(String(100)))
    waha_status_at: datetime | None = Field(sa_column=moment_column())
    version: int = Field(sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = Field(sa_column=now_column())
    updated_at: datetime = Field(sa_column=now_column())
    deleted_at: datetime | None = Field(sa_column=moment_column())


TABLE = Table.metadata.tables[f"{SCHEMA}.channels"]
