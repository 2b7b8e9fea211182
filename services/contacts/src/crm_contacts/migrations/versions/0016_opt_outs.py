"""Who wants no messages, and where."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "contact_opt_outs",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("contact_id", sa.Uuid, sa.ForeignKey("contacts.contacts.id"), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("reason", sa.String(1000)),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("opted_out_by", sa.Uuid),
        sa.Column("opted_out_at", sa.DateTime(timezone=True), nullable=False),
    )
    protect("contact_opt_outs")
