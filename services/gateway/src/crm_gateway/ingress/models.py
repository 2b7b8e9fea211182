"""The table of webhooks that wait for the broker."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_gateway.models import Base


class SpooledWebhook(Base, table=True):
    """A WAHA webhook accepted while the broker was away; deleted once the broker has it.

    `next_attempt_at`: it could not be published and was set aside until then.
    """

    __tablename__: ClassVar[str] = "ingress_spool"

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    id: UUID = Field(unique=True)
    tenant_id: str = Field(sa_column=Column(String(255), nullable=False))
    channel_id: UUID
    event: str = Field(max_length=100)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    headers: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    received_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
    )
    next_attempt_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=True)
    )
