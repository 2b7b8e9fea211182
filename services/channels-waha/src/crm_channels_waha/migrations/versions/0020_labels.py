"""Labels of WhatsApp Business, and when a channel's are to be read."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("label_id", sa.String(50), primary_key=True),
        sa.Column("name", sa.String(255)),
        sa.Column("color", sa.String(20)),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("told_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "label_looks",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "idx_label_looks_due",
        "label_looks",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    protect("labels")
    protect("label_looks")
    for table in ("label_looks", "channels"):
        allow_scope(table, "labels")
