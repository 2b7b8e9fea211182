"""A contact may have been merged into another one, which it leads to from then on."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("contacts", sa.Column("merged_into", sa.Uuid(), nullable=True))
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_contacts_merged",
            "contacts",
            ["tenant_id", "merged_into"],
            postgresql_where=sa.text("merged_into IS NOT NULL"),
            postgresql_concurrently=True,
        )
