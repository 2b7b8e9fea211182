"""The tables of numbers that were looked up."""

from datetime import date, datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class NumberCheckRow(Base, table=True):
    """Whether a phone's digits are on WhatsApp, as a channel's WAHA said.

    `chat_id` is the chat as WhatsApp writes it; None where nobody has the number.
    """

    __tablename__ = "number_checks"
    __table_args__ = (Index("idx_number_checks_checked", "checked_at"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    phone: str = Field(primary_key=True, max_length=50)
    chat_id: str | None = Field(default=None, max_length=255)
    checked_at: datetime = columns.stamped()


class NumberQuota(Base, table=True):
    """How many numbers a channel looked up by request on a day (UTC)."""

    __tablename__ = "number_quotas"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    day: date
    used: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
