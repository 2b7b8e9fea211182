"""Which message an event is about; replays of a range."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("domain_event_log", sa.Column("message_id", sa.Uuid))
    op.add_column("webhook_recoveries", sa.Column("until", sa.DateTime(timezone=True)))
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_domain_event_log_message",
            "domain_event_log",
            ["tenant_id", "message_id", "seq"],
            postgresql_where=sa.text("message_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "idx_recoveries_open",
            "webhook_recoveries",
            ["updated_at"],
            postgresql_where=sa.text("state <> 'done'"),
            postgresql_concurrently=True,
        )
