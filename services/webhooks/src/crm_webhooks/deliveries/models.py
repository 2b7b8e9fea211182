"""Tables of the schedule: PostgreSQL is the truth of what is owed, memory only works it off."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, text
from sqlmodel import Field

from crm_webhooks.tables import Base

LIVE = "status IN ('pending', 'retrying')"
"""SQL: still owed."""
FAILED = "status IN ('exhausted', 'cancelled')"
"""SQL: given up."""


class OutboundEvent(Base, table=True):
    """An event some endpoint wants; `body` is exactly what is signed and sent."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index("idx_webhook_events_age", "recorded_at"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    event_type: str = Field(max_length=100)
    body: bytes
    correlation_id: str | None = Field(default=None, max_length=255)
    traceparent: str | None = Field(default=None, max_length=55)
    occurred_at: datetime = columns.moment()
    recorded_at: datetime = columns.stamped()


class Delivery(Base, table=True):
    """What is owed to one endpoint for one event.

    A lease says which process has it in hand; one that lapsed belongs to nobody. `seq` follows
    the order of events. A redelivery is a row of its own with the next `replay_no`, and `trigger`
    says what it is for.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("idx_deliveries_owed", "event_id", "endpoint_id", "replay_no", unique=True),
        Index("idx_deliveries_endpoint", "endpoint_id", "seq"),
        Index(
            "idx_deliveries_due",
            "endpoint_id",
            "next_attempt_at",
            "seq",
            postgresql_where=text(LIVE),
        ),
        Index("idx_deliveries_key", "endpoint_id", "ordering_key", postgresql_where=text(LIVE)),
        Index("idx_deliveries_failed", "endpoint_id", "seq", postgresql_where=text(FAILED)),
        Index("idx_deliveries_done", "updated_at", postgresql_where=text(f"NOT ({LIVE})")),
        Index(
            "idx_deliveries_settled",
            *("tenant_id", "updated_at"),
            postgresql_where=text(f"NOT ({LIVE})"),
        ),
    )

    id: UUID = Field(primary_key=True)
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), nullable=False)
    )
    tenant_id: str = columns.tenant_id()
    event_id: UUID
    event_type: str = Field(max_length=100)
    endpoint_id: UUID = Field(foreign_key="webhooks.webhook_endpoints.id")
    ordering_key: UUID
    replay_no: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    trigger: str = Field(
        default="event", max_length=20, sa_column_kwargs={"server_default": text("'event'")}
    )
    status: str = Field(
        default="pending", max_length=20, sa_column_kwargs={"server_default": text("'pending'")}
    )
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    next_attempt_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"))
    )
    lease_owner: UUID | None = None
    lease_until: datetime | None = columns.maybe_moment()
    last_status_code: int | None = None
    last_error: str | None = Field(default=None, max_length=50)
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()


class RateAccount(Base, table=True):
    """From when on an endpoint with a rate limit may be sent the next request, by any process."""

    __tablename__ = "rate_accounts"

    endpoint_id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    next_at: datetime = columns.moment()


class LaneOwner(Base, table=True):
    """Which process alone sends to an endpoint with `max_concurrency`, and until when."""

    __tablename__ = "lane_owners"

    endpoint_id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    owner: UUID
    until: datetime = columns.moment()


class Attempt(Base, table=True):
    """One try; only ever appended. `error` is a class such as `timeout` or `http_5xx`."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (
        Index("idx_attempts_delivery", "delivery_id"),
        Index("idx_attempts_age", "started_at"),
    )

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    tenant_id: str = columns.tenant_id()
    delivery_id: UUID
    number: int
    started_at: datetime = columns.moment()
    duration_ms: int
    dns_ms: int | None = None
    connect_ms: int | None = None
    first_byte_ms: int | None = None
    status_code: int | None = None
    error: str | None = Field(default=None, max_length=50)
    response_excerpt: str | None = columns.maybe_text()
    body_truncated: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
