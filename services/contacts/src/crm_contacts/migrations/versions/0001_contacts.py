"""Contacts, their identities, their timeline."""

import sqlalchemy as sa
from alembic import op
from service_kit.ddl import create_plumbing, protect
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_NOW = sa.text("now()")
_LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    create_plumbing("contacts")
    _create_contacts()
    _create_identities()
    _create_timeline()


def _create_contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("phone", sa.String(50)),
        sa.Column("email", sa.String(255)),
        sa.Column("profile_picture_url", sa.Text),
        sa.Column("tags", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("custom_fields", JSONB, nullable=False, server_default="{}"),
        sa.Column("pipeline_id", sa.Uuid),
        sa.Column("pipeline_status_id", sa.Uuid),
        sa.Column("language", sa.String(35)),
        sa.Column("timezone", sa.String(64)),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("push_name", sa.String(255)),
        sa.Column("first_interaction_at", _MOMENT),
        sa.Column("last_interaction_at", _MOMENT),
        sa.Column("search_text", sa.Text(collation="C"), nullable=False),
        sa.Column("sort_name", sa.String(64, collation="C"), nullable=False),
        sa.Column("tag_keys", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("deleted_at", _MOMENT),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
    )
    for name, columns in {
        "idx_contacts_tenant": ["tenant_id", "created_at", "id"],
        "idx_contacts_name": ["tenant_id", "sort_name", "id"],
    }.items():
        op.create_index(name, "contacts", columns, postgresql_where=_LIVE)
    op.create_index("idx_contacts_phone", "contacts", ["phone"])
    op.create_index(
        "idx_contacts_tenant_phone",
        "contacts",
        ["tenant_id", "phone"],
        unique=True,
        postgresql_where=sa.text("phone IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "idx_contacts_pipeline",
        "contacts",
        ["tenant_id", "pipeline_id", "pipeline_status_id"],
        postgresql_where=sa.text("pipeline_id IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_index(
        "idx_contacts_search",
        "contacts",
        ["tenant_id", "search_text"],
        postgresql_using="gin",
        postgresql_ops={
            "tenant_id": "extensions.varchar_ops",
            "search_text": "extensions.gin_trgm_ops",
        },
        postgresql_where=_LIVE,
    )
    op.create_index(
        "idx_contacts_tags",
        "contacts",
        ["tag_keys"],
        postgresql_using="gin",
        postgresql_where=_LIVE,
    )
    # Room on each page for the row versions that last_interaction_at makes.
    op.execute("ALTER TABLE contacts SET (fillfactor = 85)")
    protect("contacts")


def _create_identities() -> None:
    op.create_table(
        "contact_identities",
        sa.Column("tenant_id", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("canonical", sa.String(255), primary_key=True),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid, sa.ForeignKey("contacts.contacts.id"), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    )
    op.create_index("idx_contact_identities_contact", "contact_identities", ["contact_id"])
    protect("contact_identities")


def _create_timeline() -> None:
    op.create_table(
        "contact_events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("contact_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.String(100), nullable=False),
        sa.Column("category", sa.String(50), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("payload", JSONB, nullable=False, server_default="{}"),
        sa.Column("occurred_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    )
    op.create_index(
        "idx_contact_events_contact",
        "contact_events",
        ["tenant_id", "contact_id", sa.text("occurred_at DESC"), "id"],
    )
    protect("contact_events")
