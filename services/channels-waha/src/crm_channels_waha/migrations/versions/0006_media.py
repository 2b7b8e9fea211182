"""Files: what came with messages and what was uploaded; and messages that send one."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    now = sa.text("now()")
    op.create_table(
        "media",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(50)),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("mime_type", sa.String(255)),
        sa.Column("filename", sa.String(255)),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
        sa.Column("channel_id", sa.Uuid),
        sa.Column("chat_id", sa.String(255)),
        sa.Column("external_id", sa.String(255)),
        sa.Column("content_type", sa.String(50)),
        sa.Column("url", sa.Text),
        sa.Column("server", sa.String(255)),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
        sa.Column("correlation_id", sa.String(255)),
        sa.Column("causation_id", sa.Uuid),
        sa.Column("trace_context", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=now),
    )
    op.create_index(
        "idx_media_pending",
        "media",
        ["server", "created_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    protect("media")
    allow_scope("media", "media")
    op.add_column("outbound_messages", sa.Column("media_id", sa.Uuid))
