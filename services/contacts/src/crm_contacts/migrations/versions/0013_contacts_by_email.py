"""Files are imported by e-mail: an index to find it by, made while contacts are written."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_contacts_email",
            "contacts",
            ["tenant_id", "email"],
            postgresql_where=sa.text("email IS NOT NULL AND deleted_at IS NULL"),
            postgresql_concurrently=True,
        )
