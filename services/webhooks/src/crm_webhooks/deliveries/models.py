"""Tables of the schedule: PostgreSQL is the truth of what is owed, memory only works it off."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    Uuid,
    text,
)
from sqlmodel import Field

from crm_webhooks.models import SCHEMA, Base, key, moment, reference, stamped, tenant, uuid

LIVE = "status IN ('pending', 'retrying')"
"""SQL: still owed."""


class OutboundEvent(Base, table=True):
    """An event some endpoint wants; `body` is exactly what is signed and sent."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index("idx_webhook_events_age", "recorded_at"),)

    tenant_id: str = Field(sa_column=Column(String(255), primary_key=True))
    event_id: UUID = Field(sa_column=key())
    event_type: str = Field(sa_column=Column(String(100), nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    correlation_id: str | None = Field(sa_column=Column(String(255)))
    traceparent: str | None = Field(sa_column=Column(String(55)))
    occurred_at: datetime = Field(sa_column=moment(nullable=False))
    recorded_at: datetime = Field(sa_column=stamped())


class Delivery(Base, table=True):
    """What is owed to one endpoint for one event.

    A lease says which process has it in hand; one that lapsed belongs to nobody. `seq` follows
    the order of events. A redelivery is a row of its own with the next `replay_no`.
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
        Index("idx_deliveries_done", "updated_at", postgresql_where=text(f"NOT ({LIVE})")),
    )

    id: UUID = Field(sa_column=key())
    seq: int = Field(sa_column=Column(BigInteger, Identity(always=True), nullable=False))
    tenant_id: str = Field(sa_column=tenant())
    event_id: UUID = Field(sa_column=uuid())
    event_type: str = Field(sa_column=Column(String(100), nullable=False))
    endpoint_id: UUID = Field(sa_column=reference("webhook_endpoints.id"))
    ordering_key: UUID = Field(sa_column=uuid())
    replay_no: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    status: str = Field(
        sa_column=Column(String(20), nullable=False, server_default=text("'pending'"))
    )
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_attempt_at: datetime | None = Field(
        sa_column=Column(DateTime(timezone=True), server_default=text("now()"))
    )
    lease_owner: UUID | None = Field(sa_column=Column(Uuid))
    lease_until: datetime | None = Field(sa_column=moment())
    last_status_code: int | None = Field(sa_column=Column(Integer))
    last_error: str | None = Field(sa_column=Column(String(50)))
    created_at: datetime = Field(sa_column=stamped())
    updated_at: datetime = Field(sa_column=stamped())


class Attempt(Base, table=True):
    """One try; only ever appended. `error` is a class such as `timeout` or `http_5xx`."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (
        Index("idx_attempts_delivery", "delivery_id"),
        Index("idx_attempts_age", "started_at"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    tenant_id: str = Field(sa_column=tenant())
    delivery_id: UUID = Field(sa_column=uuid())
    number: int = Field(sa_column=Column(Integer, nullable=False))
    started_at: datetime = Field(sa_column=moment(nullable=False))
    duration_ms: int = Field(sa_column=Column(Integer, nullable=False))
    status_code: int | None = Field(sa_column=Column(Integer))
    error: str | None = Field(sa_column=Column(String(50)))
    response_excerpt: str | None = Field(sa_column=Column(Text))


TABLE = Base.metadata.tables[f"{SCHEMA}.webhook_deliveries"]
