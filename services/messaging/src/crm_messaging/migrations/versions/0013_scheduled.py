"""Messages that wait for their time and expire, and how channels are."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"

NOW = sa.text("now()")


def moment(name: str, *, nullable: bool = False, default: bool = False) -> sa.Column[object]:
    server_default = NOW if default else None
    kind = sa.DateTime(timezone=True)
    return sa.Column(name, kind, nullable=nullable, server_default=server_default)


def upgrade() -> None:
    for name in ("send_at", "expires_at"):
        op.add_column("messages", moment(name, nullable=True))
    op.add_column("channel_refs", sa.Column("status", sa.String(50)))
    op.create_table(
        "scheduled_messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("content_type", sa.String(50), nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("media_url", sa.Text),
        sa.Column("media_mime_type", sa.String(255)),
        sa.Column("reply_to_id", sa.Uuid),
        sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("sent_by", sa.Uuid),
        moment("send_at"),
        moment("expires_at", nullable=True),
        sa.Column("fail_if_offline", sa.Boolean, nullable=False, server_default=sa.text("false")),
        moment("failed_at", nullable=True),
        sa.Column("failure_reason", sa.Text),
        sa.Column("correlation_id", sa.String(255)),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        moment("created_at", default=True),
        moment("updated_at", default=True),
    )
    op.create_index(
        "idx_scheduled_messages_due",
        "scheduled_messages",
        ["send_at", "id"],
        postgresql_where=sa.text("status = 'scheduled'"),
    )
    op.create_index(
        "idx_scheduled_messages_tenant",
        "scheduled_messages",
        ["tenant_id", "status", "send_at", "id"],
    )
    protect("scheduled_messages")
    allow_scope("scheduled_messages", "scheduled")
