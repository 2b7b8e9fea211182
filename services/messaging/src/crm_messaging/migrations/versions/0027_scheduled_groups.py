"""Messages that wait for their time may be a group's."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("scheduled_messages", sa.Column("conversation_id", sa.Uuid, nullable=True))
