"""The table of what channels heard."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlmodel import Field

from crm_channels_waha.tables import Base


class Hearing(Base, table=True):
    """What a channel heard, and what looking whether it is deaf came to.

    `said_at` is WhatsApp's time of the newest message heard; what WAHA holds that is newer was
    missed. `usual_gap_seconds` is how far apart messages mostly are. A message of ours has come
    back to nobody since `unanswered_since`. Between `gap_since` and now messages may be missing
    that nobody reads yet. `repairs` are restarts in a row.
    """

    __tablename__ = "hearings"

    channel_id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    said_at: datetime = columns.moment()
    heard_at: datetime = columns.moment()
    usual_gap_seconds: float | None = None
    unanswered_since: datetime | None = columns.maybe_moment()
    gap_since: datetime | None = columns.maybe_moment()
    deaf_since: datetime | None = columns.maybe_moment()
    looked_at: datetime | None = columns.maybe_moment()
    outcome: str | None = Field(default=None, max_length=50)
    repairs: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    repaired_at: datetime | None = columns.maybe_moment()
