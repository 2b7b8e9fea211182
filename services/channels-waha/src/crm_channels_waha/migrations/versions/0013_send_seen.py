"""Whether people see that they were read."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Nobody has seen it so far."""
    no = sa.text("false")
    op.add_column("channels", sa.Column("send_seen", sa.Boolean, nullable=False, server_default=no))
