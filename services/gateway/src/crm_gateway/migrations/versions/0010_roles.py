"""Roles that companies make for themselves."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0010"
down_revision = "0009"


def _moment(name: str) -> sa.Column[object]:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=now)


def upgrade() -> None:
    """Who has a custom role is an `agent` to a gateway of before."""
    op.create_table(
        "roles",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("permissions", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("sees", sa.String(20)),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        _moment("created_at"),
        _moment("updated_at"),
    )
    op.create_index("idx_roles_tenant", "roles", ["tenant_id", "id"])
    op.create_index("uq_roles_name", "roles", ["tenant_id", sa.text("lower(name)")], unique=True)
    protect("roles")
    op.add_column("agents", sa.Column("role_id", sa.Uuid, sa.ForeignKey("roles.id")))
    op.create_index("idx_agents_role", "agents", ["tenant_id", "role_id"])
