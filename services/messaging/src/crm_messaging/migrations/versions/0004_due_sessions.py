"""When the sweep looks at a session next."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Sessions of now are all due, and so are those that the release before opens."""
    op.add_column(
        "sessions",
        sa.Column(
            "check_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
        ),
    )
