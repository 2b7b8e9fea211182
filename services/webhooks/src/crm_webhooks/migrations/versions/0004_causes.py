"""What an event follows from, and the request and trace that began it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    table = "domain_event_log"
    op.add_column(table, sa.Column("correlation_id", sa.String(255)))
    op.add_column(table, sa.Column("causation_id", sa.Uuid))
    op.add_column(table, sa.Column("traceparent", sa.String(55)))
