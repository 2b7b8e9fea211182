"""Which numbers were looked up, and where messages went by it."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """What is there was written to already; code of before writes to what it is told."""
    op.create_table(
        "number_checks",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("phone", sa.String(50), primary_key=True),
        sa.Column("chat_id", sa.String(255)),
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )
    op.create_index("idx_number_checks_checked", "number_checks", ["checked_at"])
    op.create_table(
        "number_quotas",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("channel_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("used", sa.Integer, nullable=False, server_default=sa.text("0")),
    )
    for table in ("number_checks", "number_quotas"):
        protect(table)
    allow_scope("number_checks", "purge")
    yes = sa.text("true")
    op.add_column(
        "outbound_messages", sa.Column("proved", sa.Boolean, nullable=False, server_default=yes)
    )
    op.add_column("outbound_messages", sa.Column("address", sa.String(255)))
