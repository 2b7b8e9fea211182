"""Erasures, whose a file is, and which files have the same content."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import create_erasure_tasks

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    create_erasure_tasks("channels_waha")
    op.add_column("media", sa.Column("sender", sa.String(255)))
    with op.get_context().autocommit_block():
        op.create_index(
            "idx_media_content",
            "media",
            ["tenant_id", "sha256"],
            postgresql_where=sa.text("sha256 IS NOT NULL"),
            postgresql_concurrently=True,
        )
