"""Calls, and what was told of them."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0025"
down_revision = "0024"


def moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("channel_id", sa.Uuid, nullable=False),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("is_video", sa.Boolean, nullable=False),
        *map(moment, ("received_at", "accepted_at", "rejected_at")),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )
    external_id = ["tenant_id", "channel_id", "external_id"]
    op.create_index("idx_calls_external_id", "calls", external_id, unique=True)
    op.create_index("idx_calls_contact", "calls", ["tenant_id", "contact_id"])
    op.create_index("idx_calls_age", "calls", ["created_at"])
    protect("calls")
    allow_scope("calls", "sweep")
