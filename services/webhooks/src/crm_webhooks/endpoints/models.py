"""Tables of the endpoints (the schedule's table is in `deliveries`)."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from crm_webhooks.tables import Base


class Endpoint(Base, table=True):
    """A customer's URL. Headers are encrypted: customers put credentials in them.

    `public_key` is that of the newest secret, where it has one. `paused_until` is what the receiver
    asked for by Retry-After, or has earned by failing on and on. `failing_since`,
    `failed_deliveries` and `failing_hours` (in how many different ones something failed, the last
    being `failing_hour`) count since the last success and decide on disabling; `warned` is the
    percentage that was told last. `challenge_due_at` is when a challenge is to be sent, or sent
    again because nobody lived to say what came of it.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index("idx_endpoints_tenant", "tenant_id", "id", postgresql_where=text("NOT deleted")),
        Index(
            "idx_endpoints_challenges",
            "challenge_due_at",
            postgresql_where=text("challenge_due_at IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    url: str = columns.text()
    description: str | None = columns.maybe_text()
    event_types: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    channel_ids: list[str] = columns.texts()
    session_ids: list[str] = columns.texts()
    headers: bytes
    public_key: str | None = columns.maybe_text()
    enabled: bool
    deleted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    disabled_reason: str | None = Field(default=None, max_length=50)
    verify: str = Field(
        default="none", max_length=20, sa_column_kwargs={"server_default": text("'none'")}
    )
    verified_at: datetime | None = columns.maybe_moment()
    challenge_due_at: datetime | None = columns.maybe_moment()
    challenge_error: str | None = Field(default=None, max_length=50)
    rate_limit_per_minute: int | None = None
    max_concurrency: int | None = None
    paused_until: datetime | None = columns.maybe_moment()
    failing_since: datetime | None = columns.maybe_moment()
    failed_deliveries: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    failing_hours: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    failing_hour: datetime | None = columns.maybe_moment()
    warned: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()


class EndpointSecret(Base, table=True):
    """A signing secret or private key, encrypted. Several may be live while a customer rotates."""

    __tablename__ = "endpoint_secrets"
    __table_args__ = (Index("idx_endpoint_secrets_endpoint", "endpoint_id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    endpoint_id: UUID = Field(foreign_key="webhooks.webhook_endpoints.id")
    secret: bytes
    signing: str = Field(
        default="hmac", max_length=20, sa_column_kwargs={"server_default": text("'hmac'")}
    )
    active_from: datetime = columns.stamped()
    expires_at: datetime | None = columns.maybe_moment()
