"""Endpoints and secrets, the delivery schedule, the domain event log."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, create_plumbing, protect
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None

LIVE = "status IN ('pending', 'retrying')"
NOW = sa.text("now()")


def moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def stamped(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=NOW)


def tenant() -> sa.Column[object]:
    return sa.Column("tenant_id", sa.String(255), nullable=False)


def endpoint() -> sa.Column[object]:
    return sa.Column("endpoint_id", sa.Uuid, sa.ForeignKey("webhook_endpoints.id"), nullable=False)


def upgrade() -> None:
    create_plumbing("webhooks")
    create_endpoints()
    create_deliveries()
    create_event_log()


def create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid, primary_key=True),
        tenant(),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("event_types", ARRAY(sa.Text), nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("disabled_reason", sa.String(50)),
        moment("paused_until"),
        moment("failing_since"),
        sa.Column("failed_deliveries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        stamped("created_at"),
        stamped("updated_at"),
    )
    op.create_index(
        "idx_endpoints_tenant",
        "webhook_endpoints",
        ["tenant_id", "id"],
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", sa.Uuid, primary_key=True),
        tenant(),
        endpoint(),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        stamped("active_from"),
        moment("expires_at"),
    )
    op.create_index("idx_endpoint_secrets_endpoint", "endpoint_secrets", ["endpoint_id"])
    for table in ("webhook_endpoints", "endpoint_secrets"):
        protect(table)
        allow_scope(table, "deliver")


def create_deliveries() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("correlation_id", sa.String(255)),
        sa.Column("traceparent", sa.String(55)),
        moment("occurred_at", nullable=False),
        stamped("recorded_at"),
    )
    op.create_index("idx_webhook_events_age", "webhook_events", ["recorded_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        tenant(),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("event_type", sa.String(100), nullable=False),
        endpoint(),
        sa.Column("ordering_key", sa.Uuid, nullable=False),
        sa.Column("replay_no", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("status", sa.String(20), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=NOW),
        sa.Column("lease_owner", sa.Uuid),
        moment("lease_until"),
        sa.Column("last_status_code", sa.Integer),
        sa.Column("last_error", sa.String(50)),
        stamped("created_at"),
        stamped("updated_at"),
    )
    index_deliveries()
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        tenant(),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        moment("started_at", nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("error", sa.String(50)),
        sa.Column("response_excerpt", sa.Text),
    )
    op.create_index("idx_attempts_delivery", "delivery_attempts", ["delivery_id"])
    op.create_index("idx_attempts_age", "delivery_attempts", ["started_at"])
    for table in ("webhook_events", "webhook_deliveries", "delivery_attempts"):
        protect(table)
        allow_scope(table, "deliver")
        allow_scope(table, "purge")
    # Every row is written two or three times soon after it is born.
    op.execute(
        "ALTER TABLE webhook_deliveries SET (fillfactor = 80,"
        " autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000)"
    )


def index_deliveries() -> None:
    table = "webhook_deliveries"
    op.create_index(
        "idx_deliveries_owed", table, ["event_id", "endpoint_id", "replay_no"], unique=True
    )
    op.create_index("idx_deliveries_endpoint", table, ["endpoint_id", "seq"])
    op.create_index(
        "idx_deliveries_due",
        table,
        ["endpoint_id", "next_attempt_at", "seq"],
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "idx_deliveries_key",
        table,
        ["endpoint_id", "ordering_key"],
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "idx_deliveries_done", table, ["updated_at"], postgresql_where=sa.text(f"NOT ({LIVE})")
    )


def create_event_log() -> None:
    op.create_table(
        "domain_event_log",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("event_type", sa.String(100), nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_type", sa.String(100), nullable=False),
        tenant(),
        sa.Column("payload", JSONB, nullable=False),
        moment("occurred_at", nullable=False),
        stamped("recorded_at"),
    )
    table = "domain_event_log"
    op.create_index("idx_domain_event_log_tenant", table, ["tenant_id", "occurred_at"])
    op.create_index("idx_domain_event_log_aggregate", table, ["aggregate_id", "occurred_at"])
    op.create_index("idx_domain_event_log_age", table, ["recorded_at"])
    protect(table)
    allow_scope(table, "purge")
