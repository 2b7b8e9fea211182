"""Pipelines, their statuses, and where contacts have been."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect

revision = "0004"
down_revision = "0003"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "pipelines",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(1000)),
        sa.Column("color", sa.String(7)),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_index("idx_pipelines_tenant", "pipelines", ["tenant_id", "position", "id"])
    protect("pipelines")
    op.create_table(
        "pipeline_statuses",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("pipeline_id", sa.Uuid(), sa.ForeignKey("contacts.pipelines.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        sa.Column("color", sa.String(7)),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    op.create_index(
        "idx_pipeline_statuses_pipeline",
        "pipeline_statuses",
        ["tenant_id", "pipeline_id", "name"],
        unique=True,
    )
    protect("pipeline_statuses")
    op.create_table(
        "contact_pipeline_statuses",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid(), sa.ForeignKey("contacts.contacts.id"), nullable=False),
        sa.Column("pipeline_id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_name", sa.String(255)),
        sa.Column("status_id", sa.Uuid()),
        sa.Column("status_name", sa.String(255)),
        sa.Column("entered_at", _MOMENT, nullable=False),
        sa.Column("left_at", _MOMENT),
        sa.Column("moved_by", sa.Uuid()),
        sa.Column("reason", sa.String(1000)),
    )
    op.create_index(
        "idx_contact_pipeline_statuses_contact",
        "contact_pipeline_statuses",
        ["tenant_id", "contact_id", "id"],
    )
    op.create_index(
        "idx_contact_pipeline_statuses_open",
        "contact_pipeline_statuses",
        ["tenant_id", "contact_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    protect("contact_pipeline_statuses")
