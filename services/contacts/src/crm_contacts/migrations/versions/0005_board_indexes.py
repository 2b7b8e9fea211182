"""A status shows its contacts, newest first, by an index; it is made while contacts are written."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_contacts_board",
            "contacts",
            ["tenant_id", "pipeline_status_id", "created_at", "id"],
            postgresql_where=sa.text("pipeline_status_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
