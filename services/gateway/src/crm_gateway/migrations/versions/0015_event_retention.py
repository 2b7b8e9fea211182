"""For how many days a company's events are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """As long as the installation says, until a company says otherwise."""
    op.add_column("projects", sa.Column("event_retention_days", sa.Integer))
