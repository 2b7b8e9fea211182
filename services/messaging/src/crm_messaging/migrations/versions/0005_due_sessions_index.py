"""What is due is found by an index; it is made while sessions are written."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_sessions_due",
            "sessions",
            ["check_at"],
            postgresql_where=sa.text("status = 'active'"),
            postgresql_concurrently=True,
        )
