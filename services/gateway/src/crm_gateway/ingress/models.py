"""The table of webhooks that wait for the broker."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_gateway.tables import Base


class SpooledWebhook(Base, table=True):
    """A WAHA webhook accepted while the broker was away; deleted once the broker has it.

    `next_attempt_at`: it could not be published and was set aside until then.
    """

    __tablename__ = "ingress_spool"
    __table_args__ = (Index("idx_ingress_spool_channel", "channel_id"),)

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    id: UUID = Field(unique=True)
    tenant_id: str = columns.tenant_id()
    channel_id: UUID
    event: str = Field(max_length=100)
    body: bytes
    headers: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    received_at: datetime = columns.stamped()
    next_attempt_at: datetime | None = columns.maybe_moment()
