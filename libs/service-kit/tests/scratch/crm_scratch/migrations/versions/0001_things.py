"""The plumbing tables and one table of our own."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, create_plumbing, protect

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_plumbing("scratch")
    for name in ("things", "shared_things"):
        op.create_table(
            name,
            sa.Column("id", sa.Uuid, primary_key=True),
            sa.Column("tenant_id", sa.String(255), nullable=False),
            sa.Column("name", sa.Text, nullable=False),
        )
        protect(name)
    allow_scope("shared_things", "sweep")
