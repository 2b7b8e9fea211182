"""The table of recoveries."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field

from crm_webhooks.tables import Base


class Recovery(Base, table=True):
    """A job: what failed since `since` is queued again, up to `last_seq`; `seq` is how far it is.

    `last_seq` keeps it from meeting what it queued itself. With `until` it is a replay: all that
    was first owed in between is queued again. While that goes on its state is `replaying`, which
    the release before does not take up.
    """

    __tablename__ = "webhook_recoveries"
    __table_args__ = (
        Index("idx_recoveries_running", "updated_at", postgresql_where=text("state = 'running'")),
        Index("idx_recoveries_open", "updated_at", postgresql_where=text("state <> 'done'")),
        Index("idx_recoveries_endpoint", "tenant_id", "endpoint_id"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    endpoint_id: UUID = Field(foreign_key="webhooks.webhook_endpoints.id")
    since: datetime = columns.moment()
    until: datetime | None = columns.maybe_moment()
    seq: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )
    last_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = Field(max_length=20)
    total: int
    done: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    has_more: bool
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
