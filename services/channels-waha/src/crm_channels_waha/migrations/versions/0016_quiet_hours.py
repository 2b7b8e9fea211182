"""When a channel sends nothing in bulk."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """None so far; code of before sends at any time."""
    op.add_column("channels", sa.Column("quiet_hours", JSONB))
