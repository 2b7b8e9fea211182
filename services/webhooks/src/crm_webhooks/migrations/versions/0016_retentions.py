"""How long companies want their events kept; what is old, company by company."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, build_index, protect

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """As long as the installation says, unless a company's settings say otherwise from now on.

    Code of before asks by the indexes of age alone, which stay as long as it may run.
    """
    op.create_table(
        "event_retentions",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("days", sa.Integer),
        sa.Column("version", sa.Integer, nullable=False),
    )
    protect("event_retentions")
    allow_scope("event_retentions", "purge")
    with op.get_context().autocommit_block():
        build_index(
            "idx_deliveries_settled",
            "webhook_deliveries",
            ["tenant_id", "updated_at"],
            postgresql_where=sa.text("NOT (status IN ('pending', 'retrying'))"),
        )
