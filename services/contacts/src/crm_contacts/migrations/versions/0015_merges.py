"""What is kept of a merge, to undo it by."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"


def document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'::jsonb"))


def upgrade() -> None:
    op.create_table(
        "contact_merges",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("winner_id", sa.Uuid, nullable=False),
        sa.Column("loser_id", sa.Uuid, nullable=False),
        document("taken"),
        document("stood"),
        document("moved"),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "idx_contact_merges_loser", "contact_merges", ["tenant_id", "loser_id", "merged_at"]
    )
    op.create_index("idx_contact_merges_winner", "contact_merges", ["tenant_id", "winner_id"])
    op.create_index("idx_contact_merges_age", "contact_merges", ["merged_at"])
    protect("contact_merges")
    allow_scope("contact_merges", "merges")
