"""Phases of attempts, what failed by endpoint; what disabled endpoints are owed expires."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    allow_scope("webhook_endpoints", "purge")
    for phase in ("dns_ms", "connect_ms", "first_byte_ms"):
        op.add_column("delivery_attempts", sa.Column(phase, sa.Integer))
    # The last step: it commits what is above, and may be begun again.
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_deliveries_failed",
            "webhook_deliveries",
            ["endpoint_id", "seq"],
            postgresql_where=sa.text("status IN ('exhausted', 'cancelled')"),
            postgresql_concurrently=True,
        )
