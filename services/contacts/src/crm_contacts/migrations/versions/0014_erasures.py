"""Erasures and their plumbing, legal holds, and contacts of which nothing is left."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import create_erased_identities, create_erasure_tasks, protect
from sqlalchemy.dialects.postgresql import JSONB

revision = "0014"
down_revision = "0013"


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB, nullable=False, server_default=sa.text("'{}'::jsonb"))


def upgrade() -> None:
    op.add_column("contacts", moment("erased_at", nullable=True))
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.String(50), nullable=False),
        sa.Column("requested_by", sa.Uuid),
        moment("requested_at"),
        sa.Column("approved_by", sa.Uuid),
        moment("approved_at", nullable=True),
        moment("done_at", nullable=True),
        document("traces"),
        document("services"),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("idx_erasures_contact", "erasures", ["tenant_id", "contact_id"], unique=True)
    op.create_table(
        "legal_holds",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("contact_id", sa.Uuid, primary_key=True),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("placed_by", sa.Uuid),
        moment("placed_at"),
    )
    for table in ("erasures", "legal_holds"):
        protect(table)
    create_erasure_tasks("contacts")
    create_erased_identities("contacts")
