"""A contact may have been merged into another one, and its conversations are that one's then."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("contact_refs", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column(
        "contact_refs",
        sa.Column(
            "threads",
            postgresql.JSONB(),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_contact_refs_merged",
            "contact_refs",
            ["tenant_id", "merged_into"],
            postgresql_where=sa.text("merged_into IS NOT NULL"),
            postgresql_concurrently=True,
        )
