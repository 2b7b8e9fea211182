"""Messaging's part of subject exports, and the pieces of its files."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "subject_exports",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("export_id", sa.Uuid, primary_key=True),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("file", sa.String(50)),
        sa.Column("cursor", sa.Text),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("correlation_id", sa.String(255)),
        sa.Column("causation_id", sa.Uuid),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "idx_subject_exports_due",
        "subject_exports",
        ["due_at"],
        postgresql_where=sa.text("file IS NOT NULL"),
    )
    op.create_table(
        "subject_export_parts",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("export_id", sa.Uuid, primary_key=True),
        sa.Column("file", sa.String(50), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    for table in ("subject_exports", "subject_export_parts"):
        op.create_index(f"idx_{table}_expiry", table, ["expires_at"])
        protect(table)
        allow_scope(table, "gather")
