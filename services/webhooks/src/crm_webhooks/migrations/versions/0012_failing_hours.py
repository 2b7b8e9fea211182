"""In how many hours an endpoint failed, and what was told of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Who fails already is counted from now on: it is disabled later than before, never sooner."""
    table = "webhook_endpoints"
    for name in ("failing_hours", "warned"):
        op.add_column(
            table, sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
        )
    op.add_column(table, sa.Column("failing_hour", sa.DateTime(timezone=True)))
