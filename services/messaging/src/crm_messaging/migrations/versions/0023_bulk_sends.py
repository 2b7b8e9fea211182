"""Bulk sends, and whom they go to."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'::jsonb"))


def upgrade() -> None:
    op.create_table(
        "bulk_sends",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("list_id", sa.Uuid),
        _document("content"),
        sa.Column("content_type", sa.String(50), nullable=False),
        sa.Column("state", sa.String(50), nullable=False),
        _moment("send_at", nullable=True),
        sa.Column("asked", sa.Boolean, nullable=False),
        sa.Column("cursor", sa.Text),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("errors", sa.Integer, nullable=False),
        _document("failure"),
        sa.Column("created_by", sa.Uuid),
        sa.Column("correlation_id", sa.String(255), nullable=False),
        _moment("due_at"),
        sa.Column("version", sa.Integer, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        _moment("finished_at", nullable=True),
    )
    op.create_index("idx_bulk_sends_tenant", "bulk_sends", ["tenant_id", "state"])
    op.create_index(
        "idx_bulk_sends_due",
        "bulk_sends",
        ["due_at"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "idx_bulk_sends_finished",
        "bulk_sends",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_table(
        "bulk_recipients",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("bulk_send_id", sa.Uuid, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.String(20), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("message_id", sa.Uuid),
        sa.Column("code", sa.String(100)),
        sa.Column("detail", sa.Text),
    )
    op.create_index(
        "uq_bulk_recipients_contact",
        "bulk_recipients",
        ["bulk_send_id", "contact_id"],
        unique=True,
    )
    op.create_index(
        "uq_bulk_recipients_message",
        "bulk_recipients",
        ["message_id"],
        unique=True,
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )
    op.create_index(
        "idx_bulk_recipients_open",
        "bulk_recipients",
        ["tenant_id", "bulk_send_id", "state", "position"],
        postgresql_where=sa.text("state <> 'over'"),
    )
    op.create_index("idx_bulk_recipients_contact", "bulk_recipients", ["tenant_id", "contact_id"])
    for table in ("bulk_sends", "bulk_recipients"):
        protect(table)
        allow_scope(table, "bulk")
