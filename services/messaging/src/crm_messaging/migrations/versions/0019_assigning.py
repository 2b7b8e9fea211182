"""Who has left, what is nobody's, and how a company has that come to its agents."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, build_index, protect

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _index("held", ["tenant_id", "assigned_agent_id"], "IS NOT NULL")
        _index("unassigned", ["tenant_id", "started_at", "id"], "IS NULL")
    op.create_index(
        "idx_agent_refs_gone",
        "agent_refs",
        ["tenant_id", "agent_id"],
        postgresql_where=sa.text("NOT active"),
    )
    op.add_column("agent_refs", sa.Column("role", sa.String(20)))
    requested = sa.text("'requested'")
    op.add_column(
        "session_assignments",
        sa.Column("reason", sa.String(50), nullable=False, server_default=requested),
    )
    op.create_table(
        "company_refs",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("auto_assignment", sa.String(20), nullable=False),
        sa.Column("sessions_per_agent", sa.Integer, nullable=False),
        sa.Column("last_agent_id", sa.Uuid),
        sa.Column("seq", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    )
    protect("company_refs")
    # The sweep of sessions sees which of them need somebody, and who there is.
    for table in ("agent_refs", "company_refs"):
        allow_scope(table, "sweep")


def _index(name: str, columns: list[str], whose: str) -> None:
    name, where = f"idx_sessions_{name}", f"status = 'active' AND assigned_agent_id {whose}"
    build_index(name, "sessions", columns, postgresql_where=sa.text(where))
