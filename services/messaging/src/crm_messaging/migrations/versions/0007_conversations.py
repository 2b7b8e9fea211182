"""Conversations, the place of each message in its own, and who had which session."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0007"
down_revision = "0006"

_NOW = sa.text("now()")
_ZERO = sa.text("0")
_BY_TIME = ["tenant_id", "last_message_at", "id"]


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=_ZERO)


def upgrade() -> None:
    """The release before leaves the new columns empty, or to their default."""
    _conversations()
    _assignments()
    op.add_column("sessions", _count("reopen_count"))
    op.add_column("contact_refs", sa.Column("profile_picture_url", sa.Text))
    searched = sa.Column(
        "search_text", sa.Text(collation="C"), nullable=False, server_default=sa.text("''")
    )
    op.add_column("contact_refs", searched)
    op.add_column("messages", sa.Column("conversation_id", sa.Uuid, nullable=True))
    op.add_column("messages", _time("placed_at"))


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("contact_id", sa.Uuid),
        sa.Column("is_group", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("chat_id", sa.String(255)),
        sa.Column("subject", sa.String(255)),
        _count("seq"),
        _count("read_seq"),
        _count("unread_count"),
        _time("last_message_at"),
        sa.Column("session_id", sa.Uuid),
        sa.Column("status", sa.String(50)),
        sa.Column("assigned_agent_id", sa.Uuid),
        _time("created_at"),
        _time("updated_at"),
    )
    _index("newest", _BY_TIME)
    _index("channel", ["tenant_id", "channel_id", "last_message_at", "id"])
    _index("contact", ["tenant_id", "contact_id"])
    agents = ["tenant_id", "assigned_agent_id", "last_message_at", "id"]
    _index("assigned", agents, "assigned_agent_id IS NOT NULL")
    _index("unread", _BY_TIME, "unread_count > 0")
    _index("active", _BY_TIME, "status = 'active'")
    op.execute("ALTER TABLE conversations SET (fillfactor = 70)")
    protect("conversations")


def _assignments() -> None:
    op.create_table(
        "session_assignments",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid),
        sa.Column("previous_agent_id", sa.Uuid),
        sa.Column("assigned_by", sa.Uuid),
        _time("assigned_at"),
    )
    op.create_index(
        "idx_session_assignments_session",
        "session_assignments",
        ["tenant_id", "session_id", "assigned_at", "id"],
    )
    protect("session_assignments")


def _index(name: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    name = f"idx_conversations_{name}"
    op.create_index(name, "conversations", columns, postgresql_where=condition)
