"""Labels on chats."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "label_refs",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("label_id", sa.String(50), primary_key=True),
        sa.Column("name", sa.String(255)),
        sa.Column("color", sa.String(20)),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("seq", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )
    op.create_table(
        "chat_labels",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("canonical", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("label_id", sa.String(50), primary_key=True),
        sa.Column("labelled", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "idx_chat_labels_label",
        "chat_labels",
        ["tenant_id", "channel_id", "label_id"],
        postgresql_where=sa.text("labelled"),
    )
    protect("label_refs")
    protect("chat_labels")
