"""What channels heard, by which the deaf are known; imports that nobody asked for."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "hearings",
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("usual_gap_seconds", sa.Float),
        sa.Column("unanswered_since", sa.DateTime(timezone=True)),
        sa.Column("gap_since", sa.DateTime(timezone=True)),
        sa.Column("deaf_since", sa.DateTime(timezone=True)),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.String(50)),
        sa.Column("repairs", sa.Integer, nullable=False, server_default="0"),
        sa.Column("repaired_at", sa.DateTime(timezone=True)),
    )
    # Every message heard changes its channel's row, and no index with it.
    op.execute("ALTER TABLE hearings SET (fillfactor = 50)")
    protect("hearings")
    allow_scope("hearings", "liveness")
    allow_scope("channels", "liveness")
    op.add_column(
        "history_imports",
        sa.Column("recovered", sa.Boolean, nullable=False, server_default=sa.text("false")),
    )
