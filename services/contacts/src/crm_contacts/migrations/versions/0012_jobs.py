"""Imports and exports, and the pieces of their files."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import allow_scope, protect
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def _document(name: str) -> sa.Column[object]:
    empty = sa.text("'{}'::jsonb")
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=empty, nullable=False)


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("state", sa.String(50), nullable=False),
        _document("options"),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("errors", sa.Integer(), nullable=False),
        _document("counts"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        _document("failure"),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("correlation_id", sa.String(255), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("idx_jobs_tenant", "jobs", ["tenant_id", "kind", "id"])
    op.create_index(
        "idx_jobs_due",
        "jobs",
        ["due_at"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    protect("jobs")
    allow_scope("jobs", "jobs")

    op.create_table(
        "job_parts",
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("file", sa.String(50), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "job_id", "file", "position"),
    )
    op.create_index("idx_job_parts_expiry", "job_parts", ["expires_at"])
    protect("job_parts")
    allow_scope("job_parts", "jobs")
