"""Endpoints whose URL must answer a challenge first."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """None of before asks for one. Code of before sends none: it would enable without, if asked."""
    table = "webhook_endpoints"
    verify = sa.Column("verify", sa.String(20), nullable=False, server_default=sa.text("'none'"))
    op.add_column(table, verify)
    for name in ("verified_at", "challenge_due_at"):
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column(table, sa.Column("challenge_error", sa.String(50)))
    with op.get_context().autocommit_block():
        build_index(
            "idx_endpoints_challenges",
            table,
            ["challenge_due_at"],
            postgresql_where=sa.text("challenge_due_at IS NOT NULL"),
        )
