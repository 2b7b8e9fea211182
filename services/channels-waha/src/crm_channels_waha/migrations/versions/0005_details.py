"""The ledger holds places, cards, polls and mentions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    empty = sa.text("'{}'::jsonb")
    details = sa.Column("details", JSONB, nullable=False, server_default=empty)
    op.add_column("outbound_messages", details)
