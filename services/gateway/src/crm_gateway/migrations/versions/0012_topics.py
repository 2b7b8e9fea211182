"""Mails replace older ones about the same only."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """All mail of before opens an account; so does all that code of before writes."""
    topic = sa.Column("topic", sa.String(100), nullable=False, server_default=sa.text("'account'"))
    op.add_column("mails", topic)
