"""Deleted contacts are found while they can be restored, and removed after."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope

revision = "0018"
down_revision = "0017"

_DELETED = sa.text("deleted_at IS NOT NULL AND merged_into IS NULL AND erased_at IS NULL")


def upgrade() -> None:
    for table in ("contacts", "legal_holds", "erasures"):
        allow_scope(table, "deletions")
    with op.get_context().autocommit_block():
        for name, columns in {
            "idx_contacts_deleted": ["tenant_id", "deleted_at", "id"],
            "idx_contacts_final": ["deleted_at"],
        }.items():
            op.create_index(
                name,
                "contacts",
                columns,
                postgresql_where=_DELETED,
                postgresql_concurrently=True,
            )
