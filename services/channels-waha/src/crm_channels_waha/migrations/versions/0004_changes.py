"""The ledger also holds changes to messages: what they change, found by WhatsApp's id of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for column in (
        sa.Column("target_id", sa.Uuid),
        sa.Column("target_external_id", sa.String(255)),
        sa.Column("target_from_us", sa.Boolean),
        sa.Column("target_participant", sa.String(255)),
    ):
        op.add_column("outbound_messages", column)
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_outbound_messages_target",
            "outbound_messages",
            ["channel_id", "target_external_id"],
            postgresql_where=sa.text("target_external_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
