"""Which groups are looked up, and how often a channel looks."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "group_looks",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("chat_id", sa.String(255), primary_key=True),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "idx_group_looks_due",
        "group_looks",
        ["tenant_id", "channel_id", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "group_paces",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )
    for table in ("group_looks", "group_paces", "channels"):
        allow_scope(table, "groups")
    for table in ("group_looks", "group_paces"):
        protect(table)
