"""Definitions of custom fields; contact lists."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import protect
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "custom_fields",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("type", sa.String(50), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column(
            "options",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("idx_custom_fields_key", "custom_fields", ["tenant_id", "key"], unique=True)
    op.create_index("idx_custom_fields_tenant", "custom_fields", ["tenant_id", "position", "id"])
    protect("custom_fields")

    op.create_table(
        "contact_lists",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(1000), nullable=True),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("filter", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("idx_contact_lists_tenant", "contact_lists", ["tenant_id", "id"])
    protect("contact_lists")

    op.create_table(
        "contact_list_members",
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.contacts.id"]),
        sa.ForeignKeyConstraint(["list_id"], ["contacts.contact_lists.id"]),
        sa.PrimaryKeyConstraint("tenant_id", "list_id", "contact_id"),
    )
    op.create_index(
        "idx_contact_list_members_contact", "contact_list_members", ["tenant_id", "contact_id"]
    )
    protect("contact_list_members")
