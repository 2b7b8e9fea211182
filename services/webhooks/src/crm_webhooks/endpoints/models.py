"""Tables of the endpoints (the schedule's table is in `deliveries`)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from crm_webhooks.models import SCHEMA, Base, key, moment, reference, stamped, tenant


class Endpoint(Base, table=True):
    """A customer's URL. Headers are encrypted: customers put credentials in them.

    `paused_until` is what the receiver asked for by Retry-After. `failing_since` and
    `failed_deliveries` count since the last success and decide on disabling.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index("idx_endpoints_tenant", "tenant_id", "id", postgresql_where=text("NOT deleted")),
    )

    id: UUID = Field(sa_column=key())
    tenant_id: str = Field(sa_column=tenant())
    url: str = Field(sa_column=Column(Text, nullable=False))
    description: str | None = Field(sa_column=Column(Text))
    event_types: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    headers: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    enabled: bool = Field(sa_column=Column(Boolean, nullable=False))
    deleted: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    disabled_reason: str | None = Field(sa_column=Column(String(50)))
    paused_until: datetime | None = Field(sa_column=moment())
    failing_since: datetime | None = Field(sa_column=moment())
    failed_deliveries: int = Field(
        sa_column=Column(Integer, nullable=False, server_default=text("0"))
    )
    version: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    created_at: datetime = Field(sa_column=stamped())
    updated_at: datetime = Field(sa_column=stamped())


class EndpointSecret(Base, table=True):
    """A signing secret, encrypted. Several may be live while a customer rotates."""

    __tablename__ = "endpoint_secrets"
    __table_args__ = (Index("idx_endpoint_secrets_endpoint", "endpoint_id"),)

    id: UUID = Field(sa_column=key())
    tenant_id: str = Field(sa_column=tenant())
    endpoint_id: UUID = Field(sa_column=reference("webhook_endpoints.id"))
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    active_from: datetime = Field(sa_column=stamped())
    expires_at: datetime | None = Field(sa_column=moment())


TABLE = Base.metadata.tables[f"{SCHEMA}.webhook_endpoints"]
