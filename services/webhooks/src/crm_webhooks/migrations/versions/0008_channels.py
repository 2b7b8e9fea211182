"""Endpoints that ask for what happens on some channels only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """All channels, as before, unless an endpoint says otherwise."""
    column: sa.Column[list[str]] = sa.Column(
        "channel_ids", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")
    )
    op.add_column("webhook_endpoints", column)
