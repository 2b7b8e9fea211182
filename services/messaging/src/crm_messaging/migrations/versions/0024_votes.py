"""What people choose of polls."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "message_votes",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("sender", sa.String(120), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("options", sa.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("by", sa.String(50), nullable=False),
        sa.Column("participant", sa.String(120)),
        sa.Column("voted_at", sa.DateTime(timezone=True), nullable=False),
    )
    protect("message_votes")
