"""Revoked messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("messages", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
