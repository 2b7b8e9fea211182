"""What is sent in bulk."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """What people write goes first; code of before sends in the order of arrival."""
    no = sa.text("false")
    op.add_column(
        "outbound_messages", sa.Column("bulk", sa.Boolean, nullable=False, server_default=no)
    )
