"""The replica of opt-outs."""

from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger
from sqlmodel import Field

from crm_messaging.tables import Base

EVERYWHERE = UUID(int=0)
"""The `channel_id` of an opt-out of all channels."""


class OptOutRef(Base, table=True):
    """Whether a contact wants no messages on a channel; `seq` is the newest event applied.

    One that was taken back stays, so that what was told before does not bring it back.
    """

    __tablename__ = "opt_out_refs"

    tenant_id: str = columns.tenant_id(primary_key=True)
    contact_id: UUID = Field(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    is_out: bool
    seq: int = Field(sa_type=BigInteger)
