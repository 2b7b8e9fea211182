"""The tables of labels, and of when a channel's are to be read."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, SmallInteger, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class LabelRow(Base, table=True):
    """A label of a channel, as WAHA told it last; `label_id` is WhatsApp's, within the channel.

    `told_at` is WAHA's time of that, so that what comes late changes nothing. One that was seen on
    a chat alone has neither name nor time.
    """

    __tablename__ = "labels"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    label_id: str = Field(primary_key=True, max_length=50)
    name: str | None = Field(default=None, max_length=255)
    color: str | None = Field(default=None, max_length=20)
    deleted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    told_at: datetime | None = columns.maybe_moment()


class LabelLook(Base, table=True):
    """When a channel's labels are to be read from WAHA; `due_at` is None once that was done."""

    __tablename__ = "label_looks"
    __table_args__ = (
        Index("idx_label_looks_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    attempts: int = Field(
        default=0, sa_column=Column(SmallInteger, nullable=False, server_default=text("0"))
    )
    due_at: datetime | None = columns.maybe_moment()
