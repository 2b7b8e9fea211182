"""Notes are listed, pinned ones first, by indexes that are made while notes are written."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_notes_contact_pinned",
            "notes",
            ["tenant_id", "contact_id", "pinned", "id"],
            postgresql_concurrently=True,
        )
        op.create_index(
            "idx_notes_session",
            "notes",
            ["tenant_id", "session_id", "pinned", "id"],
            postgresql_where=sa.text("session_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
