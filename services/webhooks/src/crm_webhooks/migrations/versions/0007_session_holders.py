"""Who has which session, for those who see only their own events."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Empty at first: whose a session of before is, is known once something is told of it."""
    op.create_table(
        "session_holders",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("session_id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid),
        sa.Column("version", sa.Integer, nullable=False),
    )
    protect("session_holders")
