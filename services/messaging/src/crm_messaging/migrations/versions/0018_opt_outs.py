"""Who wants no messages, and where."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "opt_out_refs",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("contact_id", sa.Uuid, primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("is_out", sa.Boolean, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    protect("opt_out_refs")
