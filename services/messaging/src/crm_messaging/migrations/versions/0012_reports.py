"""How long customers wait, for reports; how far messages got with each member of a group."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import build_index, protect

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """What the release before writes has none of the times, and is left out of reports of them."""
    for name in ("first_inbound_at", "first_outbound_at", "waiting_since"):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("sessions", column, if_not_exists=True)
    _receipts()
    with op.get_context().autocommit_block():
        _index("ended", "ended_at")
        _index("answered", "first_outbound_at")


def _receipts() -> None:
    for name in ("delivered_count", "read_count", "played_count"):
        count = sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0"))
        op.add_column("messages", count, if_not_exists=True)
    op.create_table(
        "message_receipts",
        sa.Column("message_id", sa.Uuid, primary_key=True),
        sa.Column("participant", sa.String(120), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=True)
            for name in ("delivered_at", "read_at", "played_at")
        ),
        if_not_exists=True,
    )
    protect("message_receipts")


def _index(name: str, column: str) -> None:
    name, written = f"idx_sessions_{name}", sa.text(f"{column} IS NOT NULL")
    build_index(name, "sessions", ["tenant_id", column], postgresql_where=written)
