"""How a company works: whose sessions its agents see."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Everything is as it was, until a company says otherwise."""
    all_ = sa.text("'all'")
    op.add_column(
        "projects", sa.Column("agents_see", sa.String(20), nullable=False, server_default=all_)
    )
    one = sa.text("1")
    op.add_column(
        "projects", sa.Column("settings_version", sa.Integer, nullable=False, server_default=one)
    )
