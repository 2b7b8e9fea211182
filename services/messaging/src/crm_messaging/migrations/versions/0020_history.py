"""Messages that were read from the history of their chat."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column("historical", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
