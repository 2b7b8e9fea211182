"""Companies may want a second factor of all their people."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Nobody wants it, until a company says otherwise; gateways of before demand it of nobody."""
    column = sa.Column(
        "require_two_factor", sa.Boolean, nullable=False, server_default=sa.text("false")
    )
    op.add_column("projects", column)
