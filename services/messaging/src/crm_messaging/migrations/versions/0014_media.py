"""A message names its file."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("messages", sa.Column("media_id", sa.Uuid))
