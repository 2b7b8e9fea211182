"""Widgets."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import create_plumbing, protect

revision = "0001"
down_revision = None


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")
    )


def upgrade() -> None:
    create_plumbing("widgets")
    op.create_table(
        "widgets",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")),
        _now("created_at"),
        _now("updated_at"),
    )
    op.create_index("idx_widgets_tenant", "widgets", ["tenant_id", "id"])
    protect("widgets")
