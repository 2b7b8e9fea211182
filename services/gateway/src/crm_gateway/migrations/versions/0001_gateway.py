"""Tenants, users, agents, their tokens, and the ingress spool."""

from alembic import op
from service_kit.ddl import allow_scope, create_plumbing, protect
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("now()"))


def upgrade() -> None:
    create_plumbing("gateway")
    op.create_table(
        "projects",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", String(255), nullable=False, unique=True),
        Column("name", String(255), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_table(
        "users",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", String(255), nullable=False),
        Column("name", String(255), nullable=False),
        Column("email", String(255), nullable=False, unique=True),
        Column("password_hash", String(255)),
        Column("invitation_hash", String(64), unique=True),
        Column("invitation_expires_at", DateTime(timezone=True)),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("idx_users_tenant", "users", ["tenant_id"])
    op.create_table(
        "agents",
        Column("id", Uuid, ForeignKey("users.id"), primary_key=True),
        Column("tenant_id", String(255), nullable=False),
        Column("role", String(20), nullable=False),
        Column("active", Boolean, nullable=False, server_default=text("true")),
        Column("version", Integer, nullable=False, server_default=text("1")),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("idx_agents_tenant", "agents", ["tenant_id", "created_at", "id"])
    op.create_table(
        "refresh_tokens",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", String(255), nullable=False),
        Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
        Column("family_id", Uuid, nullable=False),
        Column("token_hash", String(64), nullable=False, unique=True),
        Column("expires_at", DateTime(timezone=True), nullable=False),
        Column("used_at", DateTime(timezone=True)),
        Column("revoked_at", DateTime(timezone=True)),
        _moment("created_at"),
    )
    op.create_index("idx_refresh_tokens_family", "refresh_tokens", ["family_id"])
    op.create_index("idx_refresh_tokens_user", "refresh_tokens", ["user_id"])
    op.create_index("idx_refresh_tokens_expires", "refresh_tokens", ["expires_at"])
    op.create_table(
        "login_failures",  # of accounts nobody has named a tenant for yet: no tenant, only hashes
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("subject", String(64), nullable=False),
        _moment("failed_at"),
    )
    op.create_index("idx_login_failures_subject", "login_failures", ["subject", "failed_at"])
    op.create_table(
        "ingress_spool",
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("id", Uuid, nullable=False, unique=True),
        Column("tenant_id", String(255), nullable=False),
        Column("channel_id", Uuid, nullable=False),
        Column("event", String(100), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("headers", JSONB, nullable=False),
        _moment("received_at"),
    )
    for table in ("projects", "users", "agents", "refresh_tokens", "ingress_spool"):
        protect(table)
    # Who logs in names no tenant: it is found by the e-mail or by the hash of a token.
    allow_scope("users", "login")
    allow_scope("refresh_tokens", "login")
    allow_scope("refresh_tokens", "purge")
    # One drainer empties the spool of all tenants, in the order of arrival.
    allow_scope("ingress_spool", "ingress")
