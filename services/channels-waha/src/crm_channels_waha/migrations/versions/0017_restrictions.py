"""To whom WhatsApp lets a channel write."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Nothing is known of any; code of before has it in `status_reason` and holds nothing."""
    for name in ("restricted_since", "restricted_until", "restriction_lifted_at"):
        op.add_column("channels", sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column("channels", sa.Column("restriction_reason", sa.String(50)))
    op.create_index(
        "idx_channels_restricted",
        "channels",
        ["restricted_until"],
        postgresql_where=sa.text("restricted_until IS NOT NULL AND restriction_lifted_at IS NULL"),
    )
