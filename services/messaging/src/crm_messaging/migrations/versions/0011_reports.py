"""How long customers wait, for reports."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """What the release before writes has none of the times, and is left out of reports of them.

    Indexes of large tables are made while these are written. One that was left half-made is made
    anew.
    """
    for name in ("first_inbound_at", "first_outbound_at", "waiting_since"):
        column = sa.Column(name, sa.DateTime(timezone=True), nullable=True)
        op.add_column("sessions", column, if_not_exists=True)
    with op.get_context().autocommit_block():
        _index("ended", "ended_at")
        _index("answered", "first_outbound_at")


def _index(name: str, column: str) -> None:
    name, written = f"idx_sessions_{name}", sa.text(f"{column} IS NOT NULL")
    op.drop_index(name, "sessions", if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name,
        "sessions",
        ["tenant_id", column],
        postgresql_where=written,
        postgresql_concurrently=True,
    )
