"""The table of opt-outs."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger
from sqlmodel import Field

from crm_contacts.tables import Base

EVERYWHERE = UUID(int=0)
"""The `channel_id` of an opt-out of all channels: a key has no NULL in it."""


class ContactOptOut(Base, table=True):
    """A contact that wants no messages on a channel. Whether there is such a channel is not known
    here."""

    __tablename__ = "contact_opt_outs"

    tenant_id: str = columns.tenant_id(primary_key=True)
    contact_id: UUID = Field(primary_key=True, foreign_key="contacts.contacts.id")
    channel_id: UUID = Field(primary_key=True)
    reason: str | None = Field(default=None, max_length=1000)
    source: str = Field(max_length=50)
    opted_out_by: UUID | None = None
    opted_out_at: datetime = columns.moment()


class OptOutWords(Base, table=True):
    """A company's words, folded as messages are compared; `seq` is the newest event applied."""

    __tablename__ = "opt_out_words"

    tenant_id: str = columns.tenant_id(primary_key=True)
    opting_out: list[str] = columns.texts()
    opting_in: list[str] = columns.texts()
    seq: int = Field(sa_type=BigInteger)
