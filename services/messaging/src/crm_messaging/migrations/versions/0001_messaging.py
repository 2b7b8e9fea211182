"""Sessions, messages and the replicas they need."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, create_plumbing, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_NOW = sa.text("now()")
_EMPTY = sa.text("'{}'::jsonb")
_ZERO = sa.text("0")


def _time(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[object]:
    default = _NOW if now else None
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=nullable and not now, server_default=default
    )


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _uuid(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid, nullable=nullable)


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(255), primary_key=True)


def _deleted() -> sa.Column[bool]:
    return sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.text("false"))


def _seq() -> sa.Column[int]:
    return sa.Column("seq", sa.BigInteger, nullable=False, server_default=_ZERO)


def upgrade() -> None:
    create_plumbing("messaging")
    _sessions()
    _messages()
    _parked_receipts()
    _replicas()


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("tenant_id", 255),
        _uuid("contact_id"),
        _uuid("channel_id"),
        _text("project_id", 255),
        _text("status", 50),
        _uuid("assigned_agent_id", nullable=True),
        _time("started_at", nullable=False),
        _time("ended_at"),
        _text("end_reason", 50, nullable=True),
        _time("last_interaction_at", nullable=False),
        sa.Column("timeout_seconds", sa.Integer, nullable=False),
        sa.Column("total_messages", sa.Integer, nullable=False, server_default=_ZERO),
        sa.Column("custom_fields", JSONB, nullable=False, server_default=_EMPTY),
        _text("chat_id", 255, nullable=True),
        _text("opened_by", 20),
        _time("workflow_started_at"),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        _time("created_at", now=True),
        _time("updated_at", now=True),
    )
    active = sa.text("status = 'active'")
    op.create_index("idx_sessions_contact", "sessions", ["contact_id", sa.text("started_at DESC")])
    op.create_index("idx_sessions_agent", "sessions", ["assigned_agent_id", "status"])
    op.create_index("idx_sessions_tenant", "sessions", ["tenant_id", "started_at", "id"])
    op.create_index(
        "idx_sessions_one_active",
        "sessions",
        ["tenant_id", "channel_id", "contact_id"],
        unique=True,
        postgresql_where=active,
    )
    op.create_index("idx_sessions_sweep", "sessions", ["started_at"], postgresql_where=active)
    # Room on the page for the next version of a row, which then needs no index entries.
    op.execute("ALTER TABLE sessions SET (fillfactor = 70)")
    protect("sessions")
    allow_scope("sessions", "sweep")


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        _text("tenant_id", 255),
        _uuid("contact_id"),
        sa.Column("session_id", sa.Uuid, sa.ForeignKey("sessions.id"), nullable=False),
        _uuid("channel_id"),
        _text("chat_id", 255),
        _text("external_id", 255, nullable=True),
        sa.Column("seq", sa.Integer, nullable=False),
        _text("direction", 20),
        _text("origin", 20),
        _text("content_type", 50),
        sa.Column("content", sa.Text),
        sa.Column("media_url", sa.Text),
        _text("media_mime_type", 100, nullable=True),
        _uuid("reply_to_id", nullable=True),
        sa.Column("metadata", JSONB, nullable=False, server_default=_EMPTY),
        _text("status", 50),
        _uuid("sent_by", nullable=True),
        _time("sent_at"),
        sa.Column(
            "said_at",
            sa.DateTime(timezone=True),
            sa.Computed("COALESCE(sent_at, created_at)", persisted=True),
        ),
        _time("delivered_at"),
        _time("read_at"),
        _time("played_at"),
        _time("failed_at"),
        sa.Column("failure_reason", sa.Text),
        _time("created_at", now=True),
        _time("updated_at", now=True),
    )
    op.create_index("idx_messages_session", "messages", ["session_id", "sent_at"])
    op.create_index("idx_messages_contact", "messages", ["contact_id", sa.text("sent_at DESC")])
    op.create_index(
        "idx_messages_external_id",
        "messages",
        ["channel_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "idx_messages_tenant",
        "messages",
        ["tenant_id", "said_at", "seq", "id"],
    )
    op.execute("ALTER TABLE messages SET (fillfactor = 85)")
    protect("messages")


def _parked_receipts() -> None:
    op.create_table(
        "parked_receipts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _text("tenant_id", 255),
        _uuid("channel_id"),
        _text("external_id", 255),
        _text("status", 50),
        _text("participant", 255, nullable=True),
        _text("error_code", 255, nullable=True),
        _time("occurred_at", nullable=False),
        _time("created_at", now=True),
    )
    op.create_index("idx_parked_receipts_message", "parked_receipts", ["channel_id", "external_id"])
    op.create_index("idx_parked_receipts_age", "parked_receipts", ["created_at"])
    protect("parked_receipts")
    allow_scope("parked_receipts", "sweep")


def _replicas() -> None:
    op.create_table(
        "contact_refs",
        _tenant(),
        sa.Column("contact_id", sa.Uuid, primary_key=True),
        _text("name", 255),
        _text("phone", 50, nullable=True),
        _deleted(),
        _seq(),
    )
    op.create_table(
        "identity_refs",
        _tenant(),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("canonical", sa.String(255), primary_key=True),
        _text("value", 255),
        _uuid("contact_id"),
    )
    op.create_index("idx_identity_refs_contact", "identity_refs", ["tenant_id", "contact_id"])
    op.create_table(
        "channel_refs",
        _tenant(),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        _text("name", 255),
        sa.Column("session_timeout_seconds", sa.Integer, nullable=False),
        _deleted(),
        _seq(),
    )
    op.create_table(
        "agent_refs",
        _tenant(),
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        _text("name", 255),
        sa.Column("active", sa.Boolean, nullable=False),
        _seq(),
    )
    for table in ("contact_refs", "identity_refs", "channel_refs", "agent_refs"):
        protect(table)
