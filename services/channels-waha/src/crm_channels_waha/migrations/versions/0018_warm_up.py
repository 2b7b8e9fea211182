"""How a new number begins, and what it sent in bulk on its last day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """No number is new; code of before sends without counting."""
    op.add_column("channels", sa.Column("warm_up", JSONB))
    op.add_column("channels", sa.Column("bulk_day", sa.Date))
    zero = sa.text("0")
    op.add_column(
        "channels", sa.Column("bulk_sent", sa.Integer, nullable=False, server_default=zero)
    )
