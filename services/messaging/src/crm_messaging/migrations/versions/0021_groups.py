"""Who is in groups, what they are called, and sessions of their own."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0021"
down_revision = "0020"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("conversations", sa.Column("subject_at", MOMENT, nullable=True))
    op.add_column("channel_refs", sa.Column("allow_groups", sa.Boolean, nullable=True))
    op.add_column("sessions", sa.Column("conversation_id", sa.Uuid, nullable=True))
    op.create_table(
        "conversation_participants",
        sa.Column("conversation_id", sa.Uuid, primary_key=True),
        sa.Column("participant", sa.String(120), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("lid", sa.String(120), nullable=True),
        sa.Column("role", sa.String(50), nullable=True),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT, nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
    )
    op.create_index(
        "idx_conversation_participants_lid", "conversation_participants", ["conversation_id", "lid"]
    )
    protect("conversation_participants")
