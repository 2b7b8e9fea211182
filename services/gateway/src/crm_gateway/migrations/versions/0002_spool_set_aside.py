"""Webhooks that cannot be published are set aside."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One column; what runs meanwhile publishes as before."""
    op.add_column("ingress_spool", sa.Column("next_attempt_at", sa.DateTime(timezone=True)))
