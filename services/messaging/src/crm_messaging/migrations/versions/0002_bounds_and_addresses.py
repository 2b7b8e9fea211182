"""Columns as wide as the contract; numbers taken off a contact; each parked receipt once."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_REPEATS = """
DELETE FROM parked_receipts r USING parked_receipts earlier
WHERE earlier.channel_id = r.channel_id AND earlier.external_id = r.external_id
    AND earlier.status = r.status AND earlier.participant IS NOT DISTINCT FROM r.participant
    AND earlier.id < r.id
"""


def upgrade() -> None:
    """Wider, never narrower: what runs meanwhile notices nothing."""
    op.alter_column("messages", "media_mime_type", type_=sa.String(255))
    op.add_column(
        "identity_refs",
        sa.Column("taken_off", sa.Boolean, nullable=False, server_default=sa.text("false")),
    )
    op.execute(_REPEATS)
    op.drop_index("idx_parked_receipts_message", "parked_receipts")
    op.create_index(
        "idx_parked_receipts_message",
        "parked_receipts",
        ["channel_id", "external_id", "status", "participant"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
