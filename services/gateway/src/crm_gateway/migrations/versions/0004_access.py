"""API keys, sessions that end at once, attempts counted at once, and an audit log."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0004"
down_revision = "0003"


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )


def _texts(name: str) -> sa.Column[object]:
    return sa.Column(name, ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'"))


def upgrade() -> None:
    """Tables of their own and columns with defaults: what runs meanwhile knows nothing of them."""
    for table in ("users", "refresh_tokens"):
        op.add_column(
            table,
            sa.Column("token_version", sa.Integer, nullable=False, server_default=sa.text("0")),
        )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(20), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        _texts("scopes"),
        _texts("allowed_ips"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("created_by", sa.Uuid),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("idx_api_keys_tenant", "api_keys", ["tenant_id", "id"])
    op.create_table(
        "tallies",  # of whoever asks, before it is known who that is: of no tenant
        sa.Column("subject", sa.String(300), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("idx_tallies_ends", "tallies", ["ends_at"])
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("actor_type", sa.String(20), nullable=False),
        sa.Column("actor_id", sa.Uuid, nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("target_type", sa.String(50), nullable=False),
        sa.Column("target_id", sa.Uuid),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(255), nullable=False),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
        _moment("created_at"),
    )
    op.create_index("idx_audit_log_tenant", "audit_log", ["tenant_id", "id"])
    op.create_index("idx_audit_log_age", "audit_log", ["created_at"])
    protect("audit_log")
    allow_scope("audit_log", "purge")
    protect("api_keys")
    # Who comes with a key names no tenant: it is found by the key's hash.
    allow_scope("api_keys", "login")
