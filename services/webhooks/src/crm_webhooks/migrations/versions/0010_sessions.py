"""Endpoints that ask for what happens in some sessions only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """All sessions, as before, unless an endpoint says otherwise."""
    column: sa.Column[list[str]] = sa.Column(
        "session_ids", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")
    )
    op.add_column("webhook_endpoints", column)
