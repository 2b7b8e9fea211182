"""Notes may be about a session."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("notes", sa.Column("session_id", sa.Uuid(), nullable=True))
