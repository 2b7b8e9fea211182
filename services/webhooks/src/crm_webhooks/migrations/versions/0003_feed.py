"""The feed, recoveries; phases of attempts; what failed, by endpoint; what is held expires."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    allow_scope("webhook_endpoints", "purge")
    for phase in ("dns_ms", "connect_ms", "first_byte_ms"):
        op.add_column("delivery_attempts", sa.Column(phase, sa.Integer))
    create_feed()
    create_recoveries()
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_deliveries_failed",
            "webhook_deliveries",
            ["endpoint_id", "seq"],
            postgresql_where=sa.text("status IN ('exhausted', 'cancelled')"),
            postgresql_concurrently=True,
        )
        for name, column in (("feed", "event_type"), ("story", "aggregate_id")):
            op.create_index(
                f"idx_domain_event_log_{name}",
                "domain_event_log",
                ["tenant_id", column, "seq"],
                postgresql_concurrently=True,
            )


def create_recoveries() -> None:
    table = "webhook_recoveries"
    now = sa.text("now()")
    op.create_table(
        table,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("endpoint_id", sa.Uuid, sa.ForeignKey("webhook_endpoints.id"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("has_more", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
    )
    op.create_index(
        "idx_recoveries_running",
        table,
        ["updated_at"],
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("idx_recoveries_endpoint", table, ["tenant_id", "endpoint_id"])
    protect(table)
    for scope in ("recover", "purge"):
        allow_scope(table, scope)


def create_feed() -> None:
    op.add_column("domain_event_log", sa.Column("seq", sa.BigInteger))
    op.create_table(
        "event_log_heads",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("purged", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )
    protect("event_log_heads")
    allow_scope("event_log_heads", "purge")
    # Code of before this revision knows no places; without them the feed would have gaps.
    op.execute(
        """
        CREATE FUNCTION place_event() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO event_log_heads AS head (tenant_id, seq) VALUES (NEW.tenant_id, 1)
            ON CONFLICT (tenant_id) DO UPDATE SET seq = head.seq + 1
            RETURNING seq INTO NEW.seq;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER place_event BEFORE INSERT ON domain_event_log"
        " FOR EACH ROW WHEN (NEW.seq IS NULL) EXECUTE FUNCTION place_event()"
    )
