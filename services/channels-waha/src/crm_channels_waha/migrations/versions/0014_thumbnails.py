"""Small pictures of pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """What was kept before has none."""
    op.add_column("media", sa.Column("thumbnail_id", sa.Uuid))
