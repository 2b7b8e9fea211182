"""The table of channels."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class ChannelRow(Base, table=True):
    """A connected number.

    `waha_status` is WAHA's own word and `waha_status_at` WAHA's time of it, so that reports which
    arrive out of order change nothing. `version` counts changes of the settings only. Of the last
    restriction `restricted_until` is the end as it was told; it is over by `restriction_lifted_at`.
    On `bulk_day` (UTC), the last on which anything was sent in bulk, that was `bulk_sent` messages.
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
        Index(
            "idx_channels_restricted",
            "restricted_until",
            postgresql_where=text("restricted_until IS NOT NULL AND restriction_lifted_at IS NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    type: str = Field(max_length=50)
    status: str = Field(max_length=50)
    status_reason: str | None = columns.maybe_text()
    phone: str | None = Field(default=None, max_length=50)
    waha_base_url: str = columns.text()
    waha_session: str = Field(max_length=54)
    waha_api_key_encrypted: str = columns.text()
    key_generation: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    session_timeout_seconds: int
    allow_groups: bool
    send_seen: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    link_previews: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    simulate_typing: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    reject_calls: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    restricted_since: datetime | None = columns.maybe_moment()
    restricted_until: datetime | None = columns.maybe_moment()
    restriction_reason: str | None = Field(default=None, max_length=50)
    restriction_lifted_at: datetime | None = columns.maybe_moment()
    quiet_hours: dict[str, str] | None = columns.maybe_document()
    warm_up: dict[str, Any] | None = columns.maybe_document()
    bulk_day: date | None = None
    bulk_sent: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    engine: str | None = Field(default=None, max_length=50)
    waha_status: str | None = Field(default=None, max_length=100)
    waha_status_at: datetime | None = columns.maybe_moment()
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
    deleted_at: datetime | None = columns.maybe_moment()
