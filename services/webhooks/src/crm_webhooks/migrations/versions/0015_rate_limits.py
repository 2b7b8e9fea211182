"""How many requests a minute an endpoint wants at the most, and what of it is spent."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Code of before knows no limits: while it runs, it keeps to none."""
    op.add_column("webhook_endpoints", sa.Column("rate_limit_per_minute", sa.Integer))
    op.create_table(
        "rate_accounts",
        sa.Column("endpoint_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
    )
    protect("rate_accounts")
    allow_scope("rate_accounts", "deliver")
