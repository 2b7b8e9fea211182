"""A message names its file."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for table in ("messages", "scheduled_messages"):
        op.add_column(table, sa.Column("media_id", sa.Uuid))
