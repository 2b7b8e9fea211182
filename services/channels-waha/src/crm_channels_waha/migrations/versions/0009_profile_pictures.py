"""Whose picture is looked at, and how often a channel looks."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "profile_pictures",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("chat_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("media_id", sa.Uuid),
        sa.Column("attempts", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "idx_profile_pictures_due",
        "profile_pictures",
        ["tenant_id", "channel_id", "due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "picture_paces",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )
    for table in ("profile_pictures", "picture_paces"):
        protect(table)
        allow_scope(table, "pictures")
