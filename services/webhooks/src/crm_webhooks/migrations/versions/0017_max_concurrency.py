"""How many requests at a time an endpoint wants at the most, and who alone sends to it for that."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Code of before knows no such limit: while it runs, it keeps to none."""
    op.add_column("webhook_endpoints", sa.Column("max_concurrency", sa.Integer))
    op.create_table(
        "lane_owners",
        sa.Column("endpoint_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("owner", sa.Uuid, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    protect("lane_owners")
    allow_scope("lane_owners", "deliver")
