"""Who publishes directly asks whether its channel waits."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """The spool is empty but for outages."""
    op.create_index("idx_ingress_spool_channel", "ingress_spool", ["channel_id"])
