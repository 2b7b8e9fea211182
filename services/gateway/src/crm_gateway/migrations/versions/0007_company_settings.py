"""How a company works: whose sessions its agents see, and how sessions come to them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Everything is as it was, until a company says otherwise."""
    for name, kind, default in (
        ("agents_see", sa.String(20), "'all'"),
        ("auto_assignment", sa.String(20), "'off'"),
        ("sessions_per_agent", sa.Integer(), "10"),
        ("settings_version", sa.Integer(), "1"),
    ):
        column = sa.Column(name, kind, nullable=False, server_default=sa.text(default))
        op.add_column("projects", column)
