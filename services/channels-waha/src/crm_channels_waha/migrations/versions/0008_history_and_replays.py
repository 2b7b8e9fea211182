"""Imports of history, the chats they read; raw events that are read anew."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "history_imports",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("phone", sa.String(50)),
        sa.Column("state", sa.String(50), nullable=False),
        sa.Column("days", sa.Integer),
        sa.Column("messages_per_chat", sa.Integer),
        sa.Column("notify", sa.Boolean, nullable=False),
        _moment("since", nullable=True),
        _moment("until"),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("chats_offset", sa.Integer, nullable=False),
        sa.Column("empty_pages", sa.Integer, nullable=False),
        sa.Column("failure", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("correlation_id", sa.String(255), nullable=False),
        _moment("due_at"),
        sa.Column("version", sa.Integer, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        _moment("finished_at", nullable=True),
    )
    op.create_index(
        "idx_history_imports_one",
        "history_imports",
        ["tenant_id", "channel_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'running', 'paused')"),
    )
    op.create_index(
        "idx_history_imports_due",
        "history_imports",
        ["due_at"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    protect("history_imports")
    allow_scope("history_imports", "history")

    op.create_table(
        "history_chats",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("import_id", sa.Uuid, primary_key=True),
        sa.Column("chat_id", sa.String(255), primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("empty_pages", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
    )
    op.create_index(
        "idx_history_chats_left",
        "history_chats",
        ["tenant_id", "import_id", "place"],
        postgresql_where=sa.text("NOT finished"),
    )
    protect("history_chats")
    op.add_column("raw_events", _moment("replayed_at", nullable=True))
