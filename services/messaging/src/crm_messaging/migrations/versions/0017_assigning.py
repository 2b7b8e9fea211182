"""Sessions that nobody has any more: who has left, and what they had."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope

revision = "0017"
down_revision = "0016"

_HELD = "status = 'active' AND assigned_agent_id IS NOT NULL"


def upgrade() -> None:
    """The index of a large table is made while it is written; one left half-made is made anew."""
    with op.get_context().autocommit_block():
        op.drop_index("idx_sessions_held", "sessions", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "idx_sessions_held",
            "sessions",
            ["tenant_id", "assigned_agent_id"],
            postgresql_where=sa.text(_HELD),
            postgresql_concurrently=True,
        )
    op.create_index(
        "idx_agent_refs_gone",
        "agent_refs",
        ["tenant_id", "agent_id"],
        postgresql_where=sa.text("NOT active"),
    )
    requested = sa.text("'requested'")
    op.add_column(
        "session_assignments",
        sa.Column("reason", sa.String(50), nullable=False, server_default=requested),
    )
    # The sweep of sessions sees which of them belong to nobody who works here any more.
    allow_scope("agent_refs", "sweep")
