"""What an echo without a known id may mean: by its chat, without what waits there to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # The new one does for older code what the old one did.
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_outbound_messages_unnamed",
            "outbound_messages",
            ["channel_id", "chat_id", "sending_at"],
            postgresql_where=sa.text("external_id IS NULL"),
            postgresql_concurrently=True,
        )
        op.drop_index(
            "idx_outbound_messages_without_id",
            table_name="outbound_messages",
            postgresql_concurrently=True,
        )
