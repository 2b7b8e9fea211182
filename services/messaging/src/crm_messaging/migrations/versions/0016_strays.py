"""Messages that the release before stores without a conversation are found by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_INDEX = "idx_messages_stray"


def upgrade() -> None:
    """Of all companies they are seen by the task that gives them their conversation, none else."""
    missing = "conversation_id IS NULL"
    with op.get_context().autocommit_block():
        op.drop_index(_INDEX, "messages", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _INDEX,
            "messages",
            ["tenant_id", "session_id", "seq"],
            postgresql_where=sa.text(missing),
            postgresql_concurrently=True,
        )
    op.execute("DROP POLICY IF EXISTS scope_strays ON messages")
    op.execute(
        "CREATE POLICY scope_strays ON messages FOR SELECT "
        f"USING (current_setting('app.scope', true) = 'strays' AND {missing})"
    )
