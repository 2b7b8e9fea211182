"""The ledger holds what is neither text nor file, when it expires, and which time it was queued."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for column in (
        sa.Column("details", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("message_version", sa.Integer, nullable=False, server_default=sa.text("1")),
    ):
        op.add_column("outbound_messages", column)
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_outbound_messages_expiring",
            "outbound_messages",
            ["expires_at"],
            postgresql_where=sa.text("state = 'pending' AND expires_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
