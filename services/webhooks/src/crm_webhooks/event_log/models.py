"""The table of the domain event log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from crm_webhooks.tables import Base


class LoggedEvent(Base, table=True):
    """A domain event as it was published.

    `seq` is its place in its tenant's feed; those of before there was a feed have none. By
    `causation_id` one comes to the event it follows from. `message_id` is the message it is about,
    where it names one.
    """

    __tablename__ = "domain_event_log"
    __table_args__ = (
        Index("idx_domain_event_log_tenant", "tenant_id", "occurred_at"),
        Index("idx_domain_event_log_feed", "tenant_id", "event_type", "seq"),
        Index("idx_domain_event_log_story", "tenant_id", "aggregate_id", "seq"),
        Index(
            "idx_domain_event_log_message",
            *("tenant_id", "message_id", "seq"),
            postgresql_where=text("message_id IS NOT NULL"),
        ),
        Index("idx_domain_event_log_age", "recorded_at"),
    )

    event_id: UUID = Field(primary_key=True)
    event_type: str = Field(max_length=100)
    aggregate_id: UUID
    aggregate_type: str = Field(max_length=100)
    tenant_id: str = columns.tenant_id()
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    occurred_at: datetime = columns.moment()
    recorded_at: datetime = columns.stamped()
    seq: int | None = Field(default=None, sa_column=Column(BigInteger))
    correlation_id: str | None = Field(default=None, max_length=255)
    causation_id: UUID | None = None
    traceparent: str | None = Field(default=None, max_length=55)
    message_id: UUID | None = None


class Head(Base, table=True):
    """How far a tenant's feed goes: `seq` is its last place, `purged` the last one deleted.

    Whoever adds to the feed holds this row until the commit. So places are committed in their
    order, and a reader who has seen one has seen all before it.
    """

    __tablename__ = "event_log_heads"

    tenant_id: str = columns.tenant_id(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    purged: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )


class Retention(Base, table=True):
    """For how many days a company wants its events kept, as its newest settings say; null: no word.

    `version` is the settings', by which the newest are known.
    """

    __tablename__ = "event_retentions"

    tenant_id: str = columns.tenant_id(primary_key=True)
    days: int | None = None
    version: int


class SessionHolder(Base, table=True):
    """Who has a session, as its newest event says: nobody where `agent_id` is null.

    `version` is the session's, by which the newest is known. Rows are kept as long as sessions are:
    for good.
    """

    __tablename__ = "session_holders"

    tenant_id: str = columns.tenant_id(primary_key=True)
    session_id: UUID = Field(primary_key=True)
    agent_id: UUID | None = None
    version: int
