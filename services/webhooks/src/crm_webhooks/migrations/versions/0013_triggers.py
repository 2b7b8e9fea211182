"""What a delivery is for; whether an answer was read to its end."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Those of before, and those that code of before makes, say that something happened."""
    trigger = sa.Column("trigger", sa.String(20), nullable=False, server_default=sa.text("'event'"))
    op.add_column("webhook_deliveries", trigger)
    cut = sa.Column("body_truncated", sa.Boolean, nullable=False, server_default=sa.text("false"))
    op.add_column("delivery_attempts", cut)
